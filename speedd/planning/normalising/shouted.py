"""Which words in capitals are shouted and which are acronyms, where their length does not tell."""

from speedd.planning.normalising.rules import words

COMMON_WORDS = frozenset(
    words(
        "ah am an as at be by do go ha he hi i'd i'm if in is me my no of oh on or so to up we aid all and any are "
        "ask bad bag bar bed big bit boy bus but buy can car cat cry cut dad day did die dig dog ear eat end eye "
        "far few fly for fun get god got gun guy had has hat he'd he's her hey him his hit hot how i'll i've ill "
        "it's its job joy key kid law lay led leg let lie lot low mad man map may men met mom mum new nor not now "
        "odd off oil old one our out own pay per put ran red rid rob row run sad saw say sea see set sex she shy "
        "sir sit six sky son sun tea ten the tie too top try two use war was way we'd wet who why win won yes yet "
        "you able ahoy alas all's also amen away baby back ball band bang base bear beat been beer bell best bird "
        "bite blow blue boat body bomb bone book boom born both burn busy call calm came camp can't card care case "
        "cash city club coat cold come cool cost crew damn dark data date dead deaf deal dear deep died does don't "
        "done door down draw drop duck each earn east easy edge else even ever evil exit eyes face fact fail fair "
        "fall farm fast fate fear feel feet fell felt file fill film find fine fire fish five food fool foot form "
        "four free from full game gate gave gift girl give glad goes gold gone good grow hair half hall hand hang "
        "hard harm hate have head hear heat hell help here hero hers hide high hill hold hole holy home hope hour "
        "huge hung hurt into iron isn't item jump just keep kept kick kill kind king kiss knew know lady lake land "
        "last late lead leak leap left less let's lies life lift like line list live load lock long look lord lose "
        "loss lost loud love luck made mail main make many mark mean meat meet mess milk mind mine miss moon more "
        "most move much must name near neck need news next nice nine none noon nose note okay once only open over "
        "page paid pain pale part pass past path pick plan play poor pray pull pure push quit race rage rain read "
        "real rest rich ride ring rise risk road rock role roll roof room rose rule rush safe said sail sale salt "
        "same sand save seat seem seen self sell send sent ship shop shot show shut sick side sign sing sink sits "
        "size skin slow snow soft sold some song soon sort soul star stay step stop such sure swim take tale talk "
        "tall task team tell tend test text than that them then they thin this thus till time tiny told tomb took "
        "torn town tree trip true turn twin type ugly unit upon used vast very view vile vote wait wake walk wall "
        "want warm warn wash wave we'll we're we've weak wear week well went were west what when whip whom wide "
        "wife wild will wind wine wing wise wish with woke wolf won't wood word wore work yard yeah year you'd your "
        "zero about above again alive alone angry apart aren't begin being below birth black blame blind blood "
        "board brain brave bread break bring broke brown build burnt catch cause chase cheap check chief child "
        "clean clear climb close court cover crazy cream crime cross crowd cruel dance death devil didn't dirty "
        "doubt dozen dream dress drink drive drown dying eagle early earth eight empty enemy enjoy enter equal "
        "error event every exact extra faith false fancy fatal fault field fifty fight final first flame flesh "
        "floor force found fresh front ghost giant given glass going grace grand grave great green guard guess "
        "guilt hadn't hands happy hasn't heart heavy hello hence horse hotel hours house human hurry idiot inner "
        "issue judge knife known large later laugh learn leave legal level light limit lives local loose loved "
        "lover lucky lunch magic major maker marry match maybe mayor metal might money month moral mouth moved "
        "music naked never night noise north novel nurse ocean offer often order other ought outer owner paint "
        "panic paper party peace phone piece place plain plane plant point power press price pride prime print "
        "proof proud queen quick quiet quite radio raise ready right river rough round royal ruler scene sense "
        "serve seven shake shall shame shape share sharp sheep sheet shell shift shirt shock shoot shore short "
        "shout shown sight silly since sixth skill sleep small smart smell smile smoke solid sorry sound south "
        "space spare speak speed spend spoke staff stage stair stand stare start state steal steel stick still "
        "stock stone stood store storm story stuff sugar sweet table taken taste teach teeth thank theft their "
        "there these they'd thief thing think third those three threw throw tiger tired title today total touch "
        "tower track trade train treat trial tried truck truly trust truth twice uncle under union until upper "
        "upset usual value visit voice wagon waste watch water wheel where which while white whole whore whose "
        "woman women world worry worse worst worth would wound write wrong wrote yield you'll you're you've young "
        "yours doesn't enough haven't mother please scream wicked couldn't nothing something anything everything "
        "someone anyone everyone nobody because should people little another through between without always forever "
        "herself himself myself yourself itself themselves together morning evening tonight tomorrow yesterday "
        "better before behind beside really enough father mother brother sister"
    )
)
"""What a novel may print in capitals. A word longer than most of these is taken for a shouted one anyway, and for a
name in a row of them."""

ACRONYMS = frozenset(
    words(
        "AIDS ASCII AWACS BAFTA BBC BST CERN CIA CNN COBOL COVID DARPA EST EURATOM FBI FIFA FORTRAN GESTAPO GMT HAMAS "
        "HMS HTML HTTP IBM INTERPOL JPEG LAPD LASER LIDAR MENSA MPEG NAFTA NASA NASDAQ NATO NORAD NYPD OPEC OSHA "
        "OXFAM POTUS PST RADAR RMS RSVP SCOTUS SCUBA SONAR SWAT UEFA UNESCO UNHCR UNICEF UNIX USA USS USSR WYSIWYG "
        "YMCA YWCA"
    )
)
"""That look like words, or stand beside shouted ones."""
