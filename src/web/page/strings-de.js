/** German, as strings.js has English. */
export const german = `
about Über diesen Raum
again Nochmals senden
asDevice Wie auf diesem Gerät
asFile Als Datei senden
asText Als Nachrichten senden
ask.ban {0} aus {1} fernhalten?
ask.erase Diese Nachricht für alle entfernen?
ask.unfile Diese Datei für alle entfernen?
ask.ignore Nichts mehr von {0} sehen?
ask.kick {0} aus {1} weisen?
ask.logout Trotzdem abmelden?
ask.mute {0} in {1} nicht mehr sprechen lassen?
askKey {0} hat einen Schlüssel
askName Wie sollen wir dich nennen?
attach Dateien senden
awaited {0} hat das Senden unterbrochen. Es geht weiter, wenn {0} bald wiederkommt.
away Abwesenheit, steht bei deinem Namen
awayLike Um eins zurück
back Die Verbindung ist wieder da.
ban Fernhalten …
banned ferngehalten
bans Wer ferngehalten wird …
below {0} neue Nachricht|{0} neue Nachrichten
bye.blocked Dieser Server lässt dich nicht ein.
bye.full Der Server ist voll.
bye.granted Für deinen Namen wurde ein neues Token ausgestellt. Gehört er dir, lass es dir vom Betreiber dieses Servers geben und melde dich damit an.
bye.idle Du warst zu lange ohne Passwort da.
bye.lost Keine Verbindung.
bye.no-websocket Etwas zwischen dir und dem Server, vielleicht ein Proxy, lässt keine WebSockets durch. Frage, wer ihn betreibt.
bye.shutdown Der Server wird neu gestartet.
bye.too-slow Deine Verbindung war zu langsam.
came {0} kam|{0} kamen
cancel Abbrechen
choose Passwort wählen
close Schließen
comeHere Wer die Adresse dieser Seite öffnet, kommt in diesen Raum.
comeTo Du kommst in {0}.
commands /away TEXT – sagen, dass du weg bist;/back – wieder da;/ban NAME ZEIT GRUND – jemanden fernhalten;/help – was du hier tun kannst;/ignore NAME – nichts mehr von jemandem sehen;/invite NAME – jemanden einladen;/join #RAUM – einen Raum betreten;/kick NAME GRUND – jemanden hinausweisen;/leave – diesen Raum verlassen;/me TEXT – sagen, was du tust;/msg NAME TEXT – jemandem allein schreiben;/mute NAME ZEIT GRUND – jemanden nicht sprechen lassen;/nick NAME – anders heißen;/op NAME – jemanden für Ordnung sorgen lassen;/room – die Regeln dieses Raums;/rooms – alle Räume;/topic TEXT – worum es hier geht;/unban NR – wieder einlassen;/unignore NAME – jemanden wieder sehen;/voice NAME – jemanden sprechen lassen;/who – wer da ist
connecting Verbinde mit {0} …
copy Text kopieren
dark Dunkel
days {0} Tag|{0} Tage
deop Nicht mehr für Ordnung sorgen lassen
device Dieser Browser
devoice Stimme zurücknehmen
drop Entfernen
dropHere Dateien hier ablegen, um sie zu senden
elsewhere Du bist hier in einem anderen Tab.
emptyRoom Hier wurde noch nichts gesagt.
emptyTalk Was hier gesagt wird, lest nur ihr beide. Der Server behält nichts davon: Schließt du diesen Tab, ist es fort.
enlarge {0} vergrößern
erase Entfernen …
event.away {0} ist weg
event.banned {0} hält {1} fern
event.erased {0} hat Nachrichten entfernt
event.joined {0} kam herein
event.kicked {0} hat {1} hinausgewiesen
event.left {0} ging hinaus
event.lost {0} hat die Verbindung verloren
event.lost.blocked {0} wurde gesperrt
event.lost.killed Die Verbindung von {0} hat der Betreiber beendet
event.lost.too-slow {0} war zu langsam und hat die Verbindung verloren
event.made.founder {0} übergibt {1} diesen Raum
event.made.nobody {0} nimmt {1} den Rang
event.made.op {0} lässt {1} für Ordnung sorgen
event.made.voice {0} gibt {1} eine Stimme
event.muted {0} lässt {1} nicht sprechen
event.offline {0} ist gegangen
event.online Jemand namens {0} ist jetzt da
event.quit {0} ging
event.renamed {0} heißt jetzt {1}
event.set {0} hat eine Regel gesetzt: {1} {2}
event.topic {0} hat das Thema gesetzt
event.unbanned {0} lässt {1} wieder ein
event.unheard {0} ist gegangen, ohne zu bekommen, was du zuletzt geschrieben hast
event.unmuted {0} lässt {1} wieder sprechen
find Raum oder Person
fetchable Abrufbar bis {0}, {1}.
flood {0} neue Nachricht|{0} neue Nachrichten
fold Kommen und Gehen zusammenzählen
forGood für immer
forget Mich hier vergessen
forgetAsk Deinen Namen, deine Räume und Einstellungen auf diesem Gerät vergessen?
forgetWhy Dein Name, deine Räume und Einstellungen stehen in diesem Browser.
goTo Wohin
gone Fort
guests Zurzeit kommt nur herein, wem ein Name gehört.
haveName Ich habe hier einen Namen
heavy Diese Datei hat {0}, was für dieses Gerät zu viel sein kann. Holen?
help Hilfe
here {0} hier|{0} hier
hideText Nur zeigen, wer schreibt, nicht was
hours {0} Stunde|{0} Stunden
howLong Für wie lange
ignore Nicht mehr sehen …
inTalk Du bist in {0}
invite Jemanden einladen
invites {0} lädt dich ein: {1}.
is.away weg
is.gone nicht da
is.here da
is.typing da
join Eintreten
key Der Schlüssel
keyFrom Diese Leute können dir den Schlüssel sagen: {0}
keyOf Wer dir von diesem Raum erzählt hat, kann dir den Schlüssel sagen.
keys Tastenkürzel
keys.all Überall;F6, Umschalt+F6 – zum nächsten Teil der Seite oder zum vorigen;Alt+↑, Alt+↓ – zum Gespräch darüber oder darunter;Strg+K – zu jedem Raum und jeder Person;Strg+/ – diese Liste;Esc – schließt, was offen ist, und führt zurück ins Feld
keys.list In Listen und Menüs;↑, ↓, Pos1, Ende – zu einem anderen Eintrag;Eingabe – öffnet ihn
keys.log Zwischen Nachrichten;↑, ↓ – zur Nachricht davor oder danach;Eingabe – ihr Menü
keys.text Im Feld;Eingabe – sendet;Umschalt+Eingabe – neue Zeile;Tab – ergänzt einen Namen;↑, ↓ – was du zuvor geschrieben hast;/, #, @ – bietet Befehle, Räume, Personen an
kick Hinausweisen …
language Sprache
leave Verlassen
light Hell
link Link zum Einladen
linkClosed Link für alle, die hineindürfen
locked Dieser Server hat ein Passwort.
log Nachrichten in {0}
login Anmelden
logout Abmelden
long Das hat {0} Zeile.|Das hat {0} Zeilen.
look Aussehen
manyType Mehrere schreiben …
mayNot.gone Wer {0} heißt, kann jetzt jemand anders sein.
mayNot.guests Hier darf nur sprechen, wem ein Name gehört.
mayNot.moderated Hier darf nur sprechen, wer eine Stimme hat.
mayNot.muted Du darfst hier zurzeit nicht sprechen.
mayNot.outside Du bist nicht in diesem Raum.
members Wer da ist
mention {0} erwähnen
mentions {0} Erwähnung|{0} Erwähnungen
minutes {0} Minute|{0} Minuten
more Mehr
mute Nicht sprechen lassen …
muted darf nicht sprechen
myName Dein Name
namesYou {0} nennt dich in {1}
new Neu
newPassword Ein Passwort mit mindestens 8 Zeichen
newRoom Neuer Raum
newVersion Es gibt eine neue Fassung dieser Seite.
no Nein, danke
noBans Aus diesem Raum wird niemand ferngehalten.
noPast Was hier zuvor gesagt wurde, wird nicht gezeigt.
noPassword {0} hat noch kein Passwort. Meldest du dich ab, oder vergisst dich dieser Browser, kommt niemand mehr unter diesem Namen herein, bis der Betreiber dieses Servers hilft.
noPush Nur solange diese Seite offen ist: Eine geschlossene hört nichts.
noRoom Kein Raum
noSlash Der Adresse fehlt am Ende ein Schrägstrich: Füge „/“ an und versuche es noch einmal.
note.alone {1} ist ein Befehl, und andere läsen hier mit, also wurde nichts gesagt. Sende diese Zeile allein, mit / ganz vorn.
note.anew Dieser Raum hat neu begonnen: Was zuvor gesagt wurde, ist fort.
note.automatic Das macht die Seite von selbst
note.elsewhere {1} hat dich nicht eingelassen, und das läsen andere. Sende es noch einmal, um es hier zu sagen.
note.help Enter sendet, was du unten schreibst. „Dateien senden“, die Büroklammer, sendet Dateien, und so geht es auch, wenn du sie hier ablegst. Drücke auf jemanden, auf „Mehr“, das ⋯ bei einer Nachricht, oder auf das Menü eines Raums: Dort steht, was du tun kannst. Strg+/ zeigt die Tasten. Dein Name und alles Weitere ist in den Einstellungen. Auch diese Befehle kannst du schreiben, und jeder wird dabei erklärt: {1}
note.invited {1} ist eingeladen. Ist {1} gerade nicht da, sagt das niemand weiter: Schicke die Adresse dieses Raums.
note.missing Nachrichten, die hier fehlen: {1}
note.password Von jetzt an gilt das neue Passwort.
note.secret Das sieht aus wie {1} mit einem Passwort und wurde niemandem gesagt. Setze / davor.
note.slip Meinst du {1}? Setze / davor. Oder sende es noch einmal, dann wird es so gesagt.
note.token Damit meldet man sich an, also wurde es niemandem gesagt. Sende /login allein, und trage es in das Feld ein, das dann kommt.
note.unanswered Unklar, ob das geschah
note.unsent Nicht an {1} gesendet: „{2}“. {3}
note.wall {1} sagt allen
note.wary {1} wurde nicht ausgeführt, und das kann ein Passwort sein, also wurde es niemandem gesagt. Sende es noch einmal, um es hier zu sagen.
notIn Du bist nicht in {0}
notify Benachrichtigungen
notify.denied Dieser Browser verbietet sie dieser Seite; seine Einstellungen für die Seite können das ändern.
notify.insecure Sie brauchen eine verschlüsselte Verbindung (https).
notify.none Dieser Browser hat keine.
now Jetzt versuchen
offer Jemand hat dir geschrieben, während du anderswo warst.
offers Vorschläge
ok OK
oldPassword Dein bisheriges Passwort
older Frühere Nachrichten
oneWord Ein Passwort hat keine Leerzeichen und mindestens 8 Zeichen.
op Für Ordnung sorgen lassen
open Los
original Die Originale senden: ganz, und damit auch, wo und wann Fotos gemacht wurden und was die Kamera sonst notiert hat
ownName Dein Name
owned {0} gehört jetzt dir
ownedHere Dieser Name gehört jemandem. Bist du das, melde dich an.
ownedHow Mit dem Passwort kommst du von überall unter diesem Namen herein: „Ich habe hier einen Namen“.
password Passwort
pending Wartet darauf, gesendet zu werden
people Personen
photo Foto aufnehmen
rank.founder hat den Raum gegründet
rank.op sorgt für Ordnung
rank.voice Stimme
reason Grund
refusal.ask Du kannst fragen: {0}
refusal.bad-digest Unterwegs ging etwas verloren. Sende sie noch einmal.
refusal.bad-key Dieser Raum hat einen Schlüssel.
refusal.bad-name Bitte wähle einen anderen Namen: ein Wort aus bis zu 20 Buchstaben einer Schrift, Ziffern, - und _, mit einem Buchstaben am Anfang.
refusal.bad-name.join So kann kein Raum heißen: ein Wort aus bis zu 30 Buchstaben einer Schrift, Ziffern, - und _ hinter dem #.
refusal.bad-name.send Unter ihrem Namen kann diese Datei nicht gesendet werden. Gib ihr einen kurzen und sende sie noch einmal.
refusal.banned Du darfst nicht in diesen Raum. Wer dort für Ordnung sorgt, kann dich einlassen.
refusal.busy Das ging gerade nicht. Versuche es gleich noch einmal.
refusal.changed Die Datei hat sich inzwischen geändert. Sende sie noch einmal.
refusal.elsewhere Die Verbindung war weg, und wer so heißt, kann jetzt jemand anders sein.
refusal.garbled Unterwegs ging etwas verloren. Hole sie noch einmal.
refusal.gone Das ist nicht mehr da.
refusal.held Dieser Name gehörte vor kurzem jemandem. Bitte wähle einen anderen.
refusal.insecure Auf dieser Verbindung können andere mitlesen, darum wurde dein Passwort nicht gesendet. Gibt es eine Adresse mit https, dann komm über diese.
refusal.invite-only In diesen Raum kommt nur, wer eingeladen ist. Wer dort für Ordnung sorgt, kann dich einladen.
refusal.muted Du darfst hier zurzeit nicht sprechen.
refusal.muted.guests Hier darf nur sprechen, wem sein Name gehört. „Namen behalten“ in den Einstellungen macht deinen Namen zu deinem eigenen.
refusal.muted.owners Hier darf nur sprechen, wem sein Name gehört.
refusal.no-account Das darf nur, wem sein Name gehört. Wie ein Name deiner wird, steht in den Einstellungen.
refusal.no-account.join Das darf nur, wem sein Name gehört: diesen Raum betreten oder einen neuen machen. Wie ein Name deiner wird, steht in den Einstellungen.
refusal.no-room Hier hört dich niemand. Betritt zuerst einen Raum.
refusal.no-space Der Server hat dafür zurzeit keinen Platz. Versuche es später noch einmal.
refusal.no-such-file Diese Datei ist nicht mehr da.
refusal.no-such-nick Niemand hier heißt so.
refusal.no-such-nick.unignore Was von dort kommt, siehst du schon.
refusal.no-such-room Diesen Raum gibt es nicht.
refusal.not-in-room Du bist nicht in diesem Raum.
refusal.not-op Das darf nur, wer in diesem Raum für Ordnung sorgt.
refusal.outdated Dieser Server hat jetzt ein anderes Passwort.
refusal.owned Dieser Name gehört jemandem. Bist du das, melde dich unten an.
refusal.refused Das darfst du nicht, oder es geht hier nicht.
refusal.refused.login Das stimmt nicht. Versuche es noch einmal.
refusal.refused.pass Das stimmt nicht. Versuche es noch einmal.
refusal.refused.passwd Das stimmt nicht. Versuche es noch einmal.
refusal.refused.register Hier kann dir kein Name gehören. Frage, wer diesen Server betreibt.
refusal.stranger Wer so heißt, kann jetzt jemand anders sein. Sende sie noch einmal.
refusal.taken Jemand hier heißt so, oder so ähnlich. Wähle einen anderen Namen, oder warte drei Minuten, falls du das warst.
refusal.too-big Diese Datei ist größer, als der Server erlaubt.
refusal.too-long Das ist zu lang. Fasse dich kürzer.
refusal.too-many Das war zu oft, oder es ist zu viel. Warte ein wenig und versuche es noch einmal.
refusal.too-many.get Du holst schon mehrere Dateien. Warte auf eine davon.
refusal.too-many.ignore Du siehst von so vielen nichts mehr, wie man darf.
refusal.too-many.invite Das war zu oft, oder es sind schon zu viele eingeladen. Warte ein wenig und versuche es noch einmal.
refusal.too-many.join Du darfst zurzeit keinen weiteren Raum betreten, oder dieser ist voll. Verlasse einen oder warte ein wenig, und versuche es noch einmal.
refusal.too-many.login Von da, wo du bist, kamen zu viele falsche Passwörter. Versuche es in zehn Minuten noch einmal.
refusal.too-many.nick Du hast deinen Namen zu oft geändert. Warte eine Minute.
refusal.too-many.pass Von da, wo du bist, kamen zu viele falsche Passwörter. Versuche es in zehn Minuten noch einmal.
refusal.too-many.register Von da, wo du bist, wurden zu viele Namen vergeben. Versuche es morgen noch einmal, oder frage, wer diesen Server betreibt.
refusal.too-many.send Du darfst zurzeit nicht mehr Dateien teilen. Nimm eine zurück oder warte, bis andere gesendet sind.
refusal.unkept Dafür ist in diesem Browser kein Platz. Schließe andere Seiten und hole sie noch einmal.
refusal.unknown-command Diesen Befehl gibt es nicht. Ein / allein zeigt, welche es gibt.
refusal.until Das endet {0}, {1}.
refusal.usage So wird das nicht geschrieben: {0}
refusal.usage.passwd Ein Passwort hat keine Leerzeichen, mindestens 8 Zeichen, beginnt nicht mit „token:“ und ist nicht der Name.
refusal.usage.register Ein Passwort hat keine Leerzeichen, mindestens 8 Zeichen, beginnt nicht mit „token:“ und ist nicht der Name.
refusal.wait Warte {0} Sekunde.|Warte {0} Sekunden.
refusal.words Ein Name ist ein Wort.
regain Dein letzter Besuch hat deinen Namen noch. Du bekommst ihn in drei Minuten zurück, spätestens in fünf.
register Namen behalten
registerHow Für einen eigenen Namen brauchst du eine verschlüsselte Verbindung (https): hier könnten andere sein Passwort mitlesen.
registerWhy Mit einem Passwort gehört dieser Name dir und niemandem sonst.
reload Neu laden
rename Ändern
reply Antworten
roomMenu Menü dieses Gesprächs
rooms Räume
save Speichern
send Senden
sendTo An {0} senden
setAway Setzen
settings Einstellungen
show Zeigen
showPassword Passwort zeigen
takeFree {0} nehmen
talks Räume und Personen
smaller Fotos werden verkleinert, auf höchstens 2.048 Pixel.
tell Sag mir, wenn mir jemand schreibt
tellTyping Andere sehen lassen, wenn ich schreibe
textName Text
theme Helligkeit
toEnd Zum Neuesten
tooBig {0} ist größer als die {1}, die dieser Server annimmt.
topic Thema
transfers Dateien unterwegs
tries {0} Versuch ist übrig.|{0} Versuche sind übrig.
tryAgain Noch einmal versuchen
trying Neuer Versuch in {0} Sekunde.|Neuer Versuch in {0} Sekunden.
type1 {0} schreibt …
type2 {0} und {1} schreiben …
type3 {0}, {1} und {2} schreiben …
unban Beenden
unknown Unklar, ob das angekommen ist.
unread {0} ungelesen|{0} ungelesen
unreadable Dieser Browser kann {0} nicht lesen. Das Original senden, mit dem Ort und allem, was die Kamera sonst hineingeschrieben hat?
unsent Nicht gesendet: {0}
unshown.audio Diese Aufnahme kann nicht gezeigt werden
unshown.image Dieses Bild kann nicht gezeigt werden
unshown.video Dieser Film kann nicht gezeigt werden
until bis {0}, {1}
useHere Hier benutzen
voice Eine Stimme geben
went {0} ging|{0} gingen
word Passwort oder Token
write An {0} schreiben
writeTo {0} schreiben
writesYou {0} schreibt dir
wrongKey Das ist nicht der Schlüssel dieses Raums. Versuche es noch einmal.
wrote hat dir geschrieben
you Du
`;
