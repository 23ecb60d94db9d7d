"""Every error carries what a person and a script need."""

import pytest

from memdefrag.base import errors


def all_classes(root: type[errors.MemdefragError]) -> list[type[errors.MemdefragError]]:
    return [root, *(leaf for child in root.__subclasses__() for leaf in all_classes(child))]


def test_exit_codes_are_those_of_the_drawing() -> None:
    drawn = errors.__doc__ or ""
    for kind in all_classes(errors.MemdefragError):
        line = next((line for line in drawn.splitlines() if f" {kind.__name__} " in f"{line} "), None)
        if kind in (errors.MemdefragError, errors.StoreError, errors.WriteError):
            continue
        if kind.__module__ != errors.__name__:
            # One that another layer adds is a kind of one that is drawn.
            assert kind.exit_code == kind.__base__.exit_code  # type: ignore[union-attr]
            continue
        assert line is not None, kind
        assert str(kind.exit_code) in line.split(), kind


def test_leaf_exit_codes_are_unique_and_above_the_common_ones() -> None:
    drawn = [kind for kind in all_classes(errors.MemdefragError) if kind.__module__ == errors.__name__]
    leaves = [kind for kind in drawn if not any(issubclass(other, kind) for other in drawn if other is not kind)]
    codes = [kind.exit_code for kind in leaves]
    assert len(set(codes)) == len(codes)
    assert min(codes) >= 2


@pytest.mark.parametrize(("kind", "code"), [(errors.StoreInUse, "store_in_use"), (errors.NotAStore, "not_a_store")])
def test_code_is_the_class_name_in_words(kind: type[errors.MemdefragError], code: str) -> None:
    assert kind("x").as_dict()["code"] == code


def test_defaults_say_what_is_safe_and_what_to_do() -> None:
    error = errors.StoreInUse("The store is open.")
    assert error.as_dict()["safe"] == "Your store was not changed."
    assert "Close the program" in error.as_dict()["todo"]


def test_what_another_layer_adds_has_the_code_of_the_documented_kind() -> None:
    class Special(errors.StoreInUse):
        pass

    assert Special("The store is open.").code == "store_in_use"
