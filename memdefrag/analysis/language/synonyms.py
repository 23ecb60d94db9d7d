"""Words and phrases that say the same whatever stands around them: the tables of `same_word`.

Only what a reader would call equal is here: no broader or stronger words, none whose other meaning is common.
"""

from __future__ import annotations

_SETS = """
    start begin commence; starts begins commences; started began commenced;
    end finish; likes enjoys; liked enjoyed; like enjoy; loves adores; loved adored;
    values cherishes treasures; valued cherished treasured; value cherish;
    thinks believes; think believe; thought believed; thinking believing;
    helps assists; help assist; helped assisted; helping assisting;
    buys purchases; buy purchase; bought purchased; buying purchasing;
    lives resides; live reside; lived resided; living residing;
    moves relocates; move relocate; moved relocated; moving relocating;
    uses utilizes; use utilize; used utilized; using utilizing;
    tries attempts; try attempt; tried attempted; trying attempting;
    needs requires; need require; needed required;
    asked inquired; said stated; told informed; tells informs; answered replied responded; answers replies responds;
    speaks talks; speak talk; spoke talked; speaking talking;
    builds constructs; build construct; built constructed; building constructing;
    fixes repairs; fix repair; fixed repaired; fixing repairing;
    removes deletes; remove delete; removed deleted; removing deleting;
    changes modifies alters; change modify alter; changed modified altered; changing modifying altering;
    chooses selects picks; choose select pick; chose selected picked; choosing selecting picking;
    allows permits; allow permit; allowed permitted; allowing permitting;
    forbids prohibits; forbid prohibit; forbidden prohibited;
    keeps retains; keep retain; kept retained; keeping retaining;
    completes finishes; completed finished; gathers collects; gathered collected;
    shown displayed; displaying showing; happens occurs; happened occurred;
    suggests proposes; suggested proposed; suggesting proposing; wants desires;

    big large; bigger larger; biggest largest; happy glad; smart intelligent clever; beautiful gorgeous;
    scared afraid frightened; important significant; awesome amazing fantastic wonderful; difficult hard; ill sick;
    rich wealthy; quick fast rapid; wrong incorrect; whole entire; famous renowned; delicious tasty; simple easy;
    recently lately; often frequently; usually typically normally; sometimes occasionally; quickly rapidly;
    currently presently; maybe perhaps possibly; approximately approx roughly; mostly mainly primarily;
    completely totally entirely fully; immediately instantly; almost nearly; especially particularly;
    outdoors outside; indoors inside; additionally furthermore moreover; however nevertheless; towards toward;
    while whilst; among amongst; everyone everybody; someone somebody; anyone anybody;

    child kid; children kids; film movie; films movies; car automobile; cars automobiles; bike bicycle; bikes bicycles;
    photo photograph; photos photographs; phone telephone; tv television; fridge refrigerator;
    plane airplane aeroplane; exam examination; exams examinations; ad advertisement advert; ads advertisements adverts;
    lab laboratory; doctor physician; lawyer attorney; sofa couch; store shop; stores shops; mother mom mum mommy mummy;
    father dad daddy; grandmother grandma granny; grandfather grandpa;
    rubbish garbage trash; pavement sidewalk; lorry truck; teen teenager; autumn fall; petrol gasoline;
    maths math mathematics;

    repository repo; repositories repos; documentation docs; configuration config; configurations configs;
    application app; applications apps; database db; databases dbs; environment env; environments envs;
    production prod; development dev; information info; specification spec; specifications specs;
    parameter param; parameters params; argument arg; arguments args; folder directory dir; folders directories dirs;
    administrator admin; administrators admins; javascript js; postgresql postgres; kubernetes k8s;
    versus vs; maximum max; minimum min; department dept; government govt; university univ; okay ok;
    tuesday tue tues; thursday thu thur thurs; friday fri; number num; message msg; messages msgs;
    password passwd; command cmd; commands cmds; package pkg; packages pkgs; version ver; reference ref;
    references refs; statistics stats; synchronization sync; authentication authn; library lib; libraries libs;

    grey gray; program programme; programs programmes; catalog catalogue; dialog dialogue; skeptical sceptical;
    pajamas pyjamas; aluminum aluminium; mustache moustache; learned learnt; burned burnt; dreamed dreamt;
    spelled spelt; spoiled spoilt; judgment judgement; acknowledgment acknowledgement; aging ageing; plow plough;
    jewelry jewellery; yogurt yoghurt; donut doughnut; cozy cosy; practice practise
"""

_CONTRACTED = """
    can't = can not; cannot = can not; cant = can not; won't = will not; wont = will not; shan't = shall not;
    dont = do not; doesnt = does not; didnt = did not; isnt = is not; arent = are not; wasnt = was not;
    werent = were not; hasnt = has not; havent = have not; hadnt = had not; couldnt = could not;
    shouldnt = should not; wouldnt = would not; i'm = i am; let's = let us; gonna = going to; wanna = want to
"""
CONTRACTED_ENDINGS = {"n't": "not", "'re": "are", "'ve": "have", "'ll": "will"}

_PHRASES = """
    lot of = many; lots of = many; plenty of = many; in order to = to; so as to = to; as well as = and;
    due to = because of; owing to = because of; on account of = because of; in spite of = despite;
    take part in = participate in; takes part in = participates in; took part in = participated in;
    taking part in = participating in; right now = currently; at moment = currently; at present = currently;
    would like to = want to; for instance = for example; rather than = instead of; one another = each other;
    went to see = visited; goes to see = visits; go to see = visit; show off = showcase; shows off = showcases;
    look for = search for; looks for = searches for; looking for = searching for; looked for = searched for;
    is grateful for = appreciates; is thankful for = appreciates; is appreciative of = appreciates;
    are grateful for = appreciate; was grateful for = appreciated; am grateful for = appreciate;
    is passionate about = has passion for; is fond of = likes; is keen on = likes; is in charge of = manages;
    in charge of = responsible for; as soon as possible = asap; per cent = %; percent = %; e-mail = email;
    web site = website; data base = database; set up = setup; log in = login; united states = us; united kingdom = uk;
    united nations = un; european union = eu
"""

_UNITS = """
    kilometers km kms kilometer kilometre kilometres; meters m meter metre metres; miles mi mile; feet ft foot;
    inches inch; centimeters cm centimeter centimetre centimetres; millimeters mm millimeter millimetre millimetres;
    kilograms kg kgs kilogram kilo kilos; grams g gram; milligrams mg milligram; pounds lb lbs pound; ounces oz ounce;
    liters l liter litre litres; milliliters ml milliliter millilitre millilitres; milliseconds ms millisecond;
    seconds s second sec secs; minutes min minute mins; hours h hour hr hrs; days d day; weeks wk week wks;
    months mo mos month; years yr year yrs; kilobytes kb kilobyte; megabytes mb megabyte; gigabytes gb gigabyte;
    terabytes tb terabyte; hertz hz; kilohertz khz; megahertz mhz; gigahertz ghz; watts w watt; kilowatts kw kilowatt;
    volts v volt; % percent; kph kmh; mph; dollars $ dollar usd; euros € euro eur; gbp £
"""


def _table(sets: str) -> dict[str, str]:
    """For each word the first of its set."""
    return {word: words[0] for words in map(str.split, sets.split(";")) for word in words[1:]}


def _rules(rules: str) -> dict[tuple[str, ...], tuple[str, ...]]:
    pairs = (rule.split("=") for rule in rules.split(";"))
    return {tuple(left.split()): tuple(right.split()) for left, right in pairs}


SYNONYMS = _table(_SETS)
"""For a word the one that stands for it and its synonyms."""

UNITS = {word: words[0] for words in map(str.split, _UNITS.split(";")) for word in words}
"""The same for what may follow a number; those that stand for others included."""

CONTRACTIONS = {short: full for (short,), full in _rules(_CONTRACTED).items()}

PHRASES: dict[str, list[tuple[tuple[str, ...], tuple[str, ...]]]] = {}
"""For a first word the phrases (without articles) that begin with it, and what stands for them; the longest first."""
for _phrase, _meaning in sorted(_rules(_PHRASES).items(), key=lambda rule: -len(rule[0])):
    PHRASES.setdefault(_phrase[0], []).append((_phrase, _meaning))
