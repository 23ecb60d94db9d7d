"""The words the rules of `words` and `guard` know by heart."""

from __future__ import annotations

import re


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "january jan", "february feb", "march mar", "april apr", "may", "june jun", "july jul",
            "august aug", "september sept sep", "october oct", "november nov", "december dec",
        ),
        start=1,
    )
    for name in names.split()
}

_UNITS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
)
_ORDINALS = "zeroth first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth"
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"

NUMBER_WORDS = {
    **{word: str(value) for value, word in enumerate(_UNITS.split())},
    **{word: str(value) for value, word in enumerate(_ORDINALS.split())},
    **{word: str(value * 10) for value, word in enumerate(_TENS.split(), start=2)},
    "hundred": "100", "thousand": "1000", "million": "1000000", "billion": "1000000000",
    "once": "1", "twice": "2", "double": "2", "triple": "3", "dozen": "12",
}

FOREIGN_NUMBER_WORDS = {
    word: str(value)
    for words in (
        "null eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf",
        "cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce",
        "zéro _ deux trois quatre cinq six sept huit neuf dix onze douze",
        "_ _ due _ quattro cinque sei sette otto nove dieci undici dodici",
        "_ _ dois três quatro _ _ sete oito _ dez _ doze",
        "_ _ twee drie vier vijf zes zeven _ negen tien",
    )
    for value, word in enumerate(words.split())
    if word != "_"
}
"""Those for one are left out where they are articles; words that differ between two languages have one value here."""

NEGATIONS = _set(
    "not no never none nobody nothing nowhere neither nor without cannot cant wont dont doesnt didnt "
    "isnt arent wasnt werent hasnt havent hadnt couldnt shouldnt wouldnt hardly barely"
)
FOREIGN_NEGATIONS = _set(
    "nicht kein keine keinen keinem keiner keines nie niemals nichts niemand nirgends ohne weder "
    "no nunca ningún ningun ninguna ninguno nadie nada sin jamás jamas tampoco "
    "pas jamais aucun aucune sans rien personne niet geen nooit zonder niemand non mai nessun nessuna nessuno senza "
    "niente nulla não nao nem sem ninguém nenhum nenhuma inte aldrig utan ikke aldri aldrig uden uten ingen "
    "tidak bukan không chẳng لا ليس לא "
    "не нет никогда без ничего никто ні немає bez nigdy nikt není nikdy nem soha değil yok"
)
UNSPACED_NEGATIONS = re.compile(
    "(?!非常|不过|不過|不同|不错|不錯|不仅|不僅|不但|不管|不断|不斷|无论|無論|无线|無線|未来|未來|非洲|对不起|不久|无锡)[不没沒无無未非]"
    "|(?<![少危切幼])(?<!つまら)(?<!もったい)(?:ない|なく|なかっ)|ません|ずに|ไม่|มิได้"
)
"""Signs that negate in Chinese, Japanese and Thai, but for set words that hold one."""

PORTS = _set("port ports 端口 ポー ート puerto porta porto порт порте")

SPANS = _set(
    "minute hour day week weekend month year night morning evening afternoon summer winter spring autumn fall semester "
    "term quarter decade monday tuesday wednesday thursday friday saturday sunday"
) | frozenset(MONTHS)
DAYS_FROM_NOW = _set("today yesterday tomorrow tonight")

ARTICLES = _set("a an the")

FUNCTION_WORDS = NEGATIONS | _set(
    "a an the this that these those and or but so as at by for from in into of on onto to with about "
    "over under than then there here it its it's is are was were be been being am 's i i'm me my mine "
    "we us our ours you your yours he him his she her hers they them their theirs who whom whose which "
    "what when where why how do does did doing done has have had having will would shall should can "
    "could may might must if because while also too very just again some any each other such own same "
    "both all more most much many up out off s t d ll re ve m has hasn't haven't don't doesn't didn't "
    "isn't aren't wasn't weren't can't couldn't won't wouldn't shouldn't hadn't mustn't needn't ain't "
    "i've i'd i'll he's she's he'd she'd he'll she'll we're we've we'd we'll you're you've you'd you'll "
    "they're they've they'd they'll that's there's what's who's let's ? / | & \\ ~ ="
)

GERMAN_FUNCTION_WORDS = _set(
    "der das und ist nicht ein eine einen einem einer eines ich mit für auf dem den des von zu sich auch wird sind hat "
    "bei er sie wir ihr mein meine meinen meinem meiner dein deine sein seine ihre unser unsere mag mochte war waren "
    "haben habe hatte wurde kein keine keinen keinem keiner nie niemals nichts ohne aber oder wenn weil dass als wie "
    "zum zur im vom beim nach über unter vor seit bis um aus noch nur schon sehr immer jeden jede jeder gern gerne"
)
NEEDLESS = _set("a an the that which also very then here there again so own same such 's")
"""English words without which a sentence says the same."""

FOREIGN_FUNCTION_WORDS = GERMAN_FUNCTION_WORDS | _set(
    "el la los las es en que de una un y con para por del se lo su al como está le les et mi mis tu sus yo nos "
    "est une dans pas il elle je du au aux sur qui ne ce cette pour avec che di per della mon ma mes ton ta nous vous "
    "sono è het een van niet ik op zijn dat voor met o os um uma não com da na em att är det ses leur leurs "
    "som på av jag inte og ikke nie jest się że w z v se je é eu ele ela seu sua meu minha nel gli le i mio mia suo "
    "sua muy pero más cuando donde porque sin nunca también très mais où jamais aussi sans anche più ma non"
)
"""Also words that are English ones too: see `AMBIGUOUS`."""

AMBIGUOUS = FUNCTION_WORDS & (FOREIGN_FUNCTION_WORDS | _set(
    "in an am so was will die do no me he on to i a as or has war his we over of is per her no van most some"
))
"""Words that tell nothing about whether a text is English."""

NOT_NAMES = _set(
    "i i'm i've i'd i'll the a an and or but if it it's its he she they we you this that these those "
    "when where what who why how in on at by for from to of as is are was were do does did not no yes "
    "my our your his her their there here with after before during while since because so then also "
    "user"
) | frozenset(MONTHS)

ABBREVIATIONS = _set(
    "e.g i.e eg ie cf vs mr mrs ms dr prof st no nr fig approx ca al inc ltd co jr sr dept est p.m a.m "
    "u.s u.k z.b d.h bzw usw"
)

EXTENSIONS = (
    "py|pyi|js|jsx|ts|tsx|json|jsonl|ya?ml|toml|ini|cfg|conf|md|rst|txt|csv|tsv|parquet|sqlite3?|db|sql|html?|css|"
    "sh|bash|zsh|ps1|bat|exe|dll|so|rs|go|c|h|cc|cpp|hpp|java|kt|rb|php|pl|lua|swift|ipynb|log|lock|env|xml|svg|"
    "png|jpe?g|gif|pdf|docx?|xlsx?|pptx?|zip|gz|tar|tgz|whl|bin|pem|key|crt|service|plist|dockerfile"
)

_CONTRASTS = """
    like likes liked dislike dislikes disliked hate hates hated; love loves loved hate hates hated;
    always never; enjoy enjoys enjoyed dislike dislikes hate hates; before after; open opens opened
    close closes closed; allow forbid; allowed forbidden; allow deny; allowed denied; add remove; added
    removed; adds removes; start stop; started stopped; starts stops; starting stopping; begin end;
    begins ends; on off; true false; more less fewer; first last; early late; earlier later; old new;
    old young; older younger; older newer; oldest youngest; hot cold warm; high low; higher lower; upper
    lower; big small; large small; bigger smaller; larger smaller; fast slow; faster slower; easy hard;
    easy difficult; easier harder; good bad; better worse; best worst; happy sad; left right; up down;
    inside outside; indoors outdoors; accept reject; accepted rejected; accepts rejects; accept decline;
    accepted declined; supportive critical; support oppose; supports opposes; praise criticize; praised
    criticized; public private; local remote; minimum maximum; min max; single married divorced; morning
    afternoon evening night; win lose; won lost; buy sell; bought sold; push pull; show hide; shown
    hidden; sync async; all none; everyone nobody; approve reject; approved rejected; optimistic
    pessimistic; tabs spaces; light dark; gain lose; gained lost; success failure; succeeded failed;
    passed failed; pass fail; alive dead; empty full; in out; over under; production prod staging
    development dev testing; north south east west; spring summer autumn fall winter; northern southern
    eastern western; breakfast lunch dinner; mother father sister brother son daughter wife husband
    uncle aunt grandmother grandfather; mom dad; man woman boy girl; men women boys girls; male female;
    cat dog; cats dogs; red blue green yellow black white orange purple pink brown grey gray; vegan
    vegetarian; tea coffee; mine yours; manager employee; client server; frontend backend; read write;
    input output; monday tuesday wednesday thursday friday saturday sunday; today yesterday tomorrow;
    day week month year; seconds minutes hours days weeks months
    years milliseconds; kilometers miles meters centimeters millimeters feet inches; kilograms pounds grams milligrams
    ounces; liters milliliters; hertz kilohertz megahertz gigahertz; kilobytes megabytes gigabytes terabytes; $ € £;
    daily weekly monthly yearly hourly; seconds minutes
    hours; last next; bytes kb mb gb tb; km miles; kg pounds; euros dollars; celsius fahrenheit;
    calm anxious nervous; confident doubtful; strong weak; thick thin; wet dry; clean dirty; cheap expensive;
    safe dangerous; rich poor; deep shallow; wide narrow; soft loud; arrive leave; arrived departed; present absent;
    introvert extrovert; simple complex complicated; single multiple; temporary permanent; internal external;
    horizontal vertical; ascending descending; increase decrease; increases decreases; increased decreased;
    increasing decreasing; grow shrink; above below; forward backward; sender receiver; source target;
    parent child; parents children; teacher student; employer employee; buyer seller; victory defeat; wins loses;
    profit loss; peace war; remember forget; remembered forgot; junior senior; guest host;
    mandatory optional; required optional; online offline; serial parallel; static dynamic; primary secondary;
    odd even; day night; sender recipient; upstream downstream; success error;
    mysql postgresql sqlite mariadb mongodb redis; aws azure gcp; windows linux macos; chrome firefox;
    vim emacs vscode nano; npm yarn pnpm; react vue angular svelte; docker podman; github gitlab bitbucket;
    ios android; tcp udp; http https; tsp tbsp; teaspoon tablespoon; teaspoons tablespoons;
    all some; all most; all few; may must; can must; should must; least most; clockwise counterclockwise anticlockwise;
    an aus; vor nach; alle einige; alle manche; todos algunos; todas algunas; antes después; tous certains; avant après;
    все некоторые; до после; json yaml xml toml; pytest unittest; flask django fastapi; ubuntu debian fedora; bash zsh
"""
CONTRAST_SETS = tuple(_set(words) for words in _CONTRASTS.split(";"))
"""Sets of words that exclude each other."""

NEGATIVE_PREFIXES = ("un", "in", "im", "ir", "il", "dis", "non", "de", "mis", "anti")
_SWAPS = "ex in, ex im, dis en, de in, out in, down up, under over, pre post, dis as"
OPPOSITE_PREFIXES = tuple(
    (one, other)
    for swap in _SWAPS.split(",")
    for one, other in (swap.split(), reversed(swap.split()))
)
"""Prefixes that turn a word into its opposite when one takes the place of the other."""

HEDGES = _set(
    "if unless until might may maybe perhaps possibly probably would could should hope hopes hoped hoping plan plans "
    "planned planning want wants wanted wish wishes wished consider considers considered considering think thinks "
    "thought almost nearly try tries tried trying attempt attempted used formerly previously except only instead "
    "stopped quit stop stops allegedly supposedly doubt doubts unlikely rarely seldom or but less dreams "
    "later after before"
)
"""Words that make a statement a wish, a condition, a thing of the past, or less than it seems."""

RETRACTIONS = _set(
    "false untrue wrong incorrect invalid lie lies rumour rumor kidding joke joking outdated obsolete superseded "
    "deprecated retracted correction corrected mistaken mistake ignore disregard forbidden forbids prohibited "
    "prohibits anymore cancelled canceled"
)
"""Words that may take back what is said before or after them."""

PREPOSITIONS = _set(
    "during through since despite between along across near against among towards toward per via within"
)

OTHERS_WITH_S = _set("http new mean good custom window arm glass jean manner spectacle cloth")
"""Words that are another word, no plural, with an s."""

PERSONS = {
    pronoun: person
    for person, pronouns in {
        "I": "i me my mine i'm i've i'd i'll myself",
        "we": "we us our ours we're we've we'd we'll",
        "you": "you your yours you're you've",
        "he": "he him his he's he'd he'll himself",
        "she": "she her hers she's she'd she'll herself",
        "they": "they them their theirs they're they've",
    }.items()
    for pronoun in pronouns.split()
}
