/** English, of what comes behind the first view; strings.js has the rest. */
export const english = `
about About this room
again Send again
asDevice As on this device
asFile Send as a file
asText Send as messages
ask.ban Keep {0} out of {1}?
ask.erase Take this message away, for everybody?
ask.unfile Take this file away, for everybody?
ask.ignore See nothing more of what {0} says?
ask.kick Put {0} out of {1}?
ask.logout Log out all the same?
ask.mute Stop {0} from speaking in {1}?
askKey {0} has a key
awaited {0} broke off sending this. It goes on if {0} comes back soon.
away Away message, shown beside your name
awayLike Back at one
back The connection is back.
ban Keep out…
banned kept out
bans Who is kept out…
below {0} new message|{0} new messages
bye.granted A new token was made for your name. If the name is yours, ask whoever runs this server for it, and log in with it.
came {0} came|{0} came
cancel Cancel
choose Choose a password
close Close
comeHere Whoever opens the address of this page comes to this room.
commands /away TEXT – say that you are away;/back – you are here again;/ban NICK TIME REASON – keep somebody out;/help – what you can do here;/ignore NICK – see nothing more of somebody;/invite NICK – ask somebody in;/join #ROOM – enter a room;/kick NICK REASON – put somebody out;/leave – leave this room;/me TEXT – say what you do;/msg NICK TEXT – write to one person;/mute NICK TIME REASON – stop somebody from speaking;/nick NAME – change your name;/op NICK – let somebody keep order;/room – the rules of this room;/rooms – all rooms;/topic TEXT – what this room is about;/unban ID – end a ban;/unignore NICK – see somebody again;/voice NICK – let somebody speak;/who – who is here
copy Copy text
dark Dark
days {0} day|{0} days
deop Take back keeping order
device This browser
devoice Take back the voice
drop Remove
emptyRoom Nothing has been said here yet.
emptyTalk Only the two of you read what is said here. The server keeps none of it: once you close this tab, it is gone.
enlarge Enlarge {0}
erase Take away…
event.away {0} is away
event.banned {0} keeps {1} out
event.erased {0} took messages away
event.joined {0} came in
event.kicked {0} put {1} out
event.left {0} left
event.lost {0} lost the connection
event.lost.blocked {0} was blocked
event.lost.killed An operator ended the connection of {0}
event.lost.too-slow {0} was too slow, and lost the connection
event.made.founder {0} hands this room to {1}
event.made.nobody {0} takes the rank of {1} back
event.made.op {0} lets {1} keep order
event.made.voice {0} gives {1} a voice
event.muted {0} stopped {1} from speaking
event.offline {0} has gone
event.online Somebody called {0} is here now
event.quit {0} went
event.renamed {0} is now called {1}
event.set {0} set a rule: {1} {2}
event.topic {0} set the topic
event.unbanned {0} lets {1} in again
event.unheard {0} has gone, and did not get what you wrote last
event.unmuted {0} lets {1} speak again
fetchable Can be fetched until {0}, {1}.
flood {0} new message|{0} new messages
fold Count arrivals and departures together
forGood for good
forget Forget me here
forgetAsk Forget your name, rooms and settings on this device?
forgetWhy Your name, rooms and settings are kept in this browser.
goTo Go to
gone Gone
heavy This file has {0}, which may be too much for this device. Fetch it?
help Help
here {0} here|{0} here
hideText Show who wrote, but not what
hours {0} hour|{0} hours
howLong For how long
ignore Ignore…
inTalk You are in {0}
invite Invite somebody
invites {0} invites you to {1}.
is.away away
is.gone not here
is.here here
is.typing here
key The key
keyFrom These people can tell you the key: {0}
keyOf Whoever told you of this room can tell you the key.
keys Keyboard shortcuts
keys.all Everywhere;F6, Shift+F6 – to the next part of the page, or the one before;Alt+↑, Alt+↓ – to the talk above, or below;Ctrl+K – to any room or person;Ctrl+/ – this list;Esc – closes what is open, and goes back to the field
keys.list In lists and menus;↑, ↓, Home, End – to another entry;Enter – opens it
keys.log Among messages;↑, ↓ – to the message before, or after;Enter – its menu
keys.text In the field;Enter – sends;Shift+Enter – a new line;Tab – completes a name;↑, ↓ – what you wrote before;/, #, @ – offers commands, rooms, people
kick Put out…
language Language
leave Leave
light Light
link Link that invites
linkClosed Link, for whoever may come in
log Messages in {0}
logout Log out
long This has {0} line.|This has {0} lines.
look Look
manyType Several people are typing …
mayNot.gone Whoever is called {0} now may be somebody else.
mayNot.guests Only people who own their names may speak here.
mayNot.moderated Only those who were given a voice may speak here.
mayNot.muted You may not speak here now.
mayNot.outside You are not in this room.
mention Mention {0}
mentions {0} mention|{0} mentions
minutes {0} minute|{0} minutes
more More
mute Stop from speaking…
muted may not speak
myName Your name
namesYou {0} names you in {1}
new New
newPassword A password, of 8 characters or more
newRoom New room
no No, thank you
noBans Nobody is kept out of this room.
noPast What was said here before is not shown.
noPassword {0} has no password yet. Once you log out, or this browser forgets you, nobody comes in by this name until whoever runs this server helps.
noPush Only while this page is open: a closed page hears nothing.
noRoom No room
note.alone {1} is for itself, and others would read it here, so nobody was told. Send that line alone, and begin it with its /.
note.anew This room began anew: what was said before is gone.
note.automatic The page does this by itself
note.elsewhere {1} did not let you in, and others would read this. Send it once more to say it here.
note.help Enter sends what you type below. “Send files”, the paper clip, sends files, and so does dropping them here. Press a person, or “More”, the ⋯ at a message, or the menu of a room, for what can be done there. Your name and all else is in the settings. Ctrl+/ lists the keys. You can type these commands too, and each is explained as you do: {1}
note.invited {1} is invited. If {1} is not here now, nobody tells them: send them the address of this room.
note.missing Messages that are missing here: {1}
note.password The new password holds from now on.
note.secret This looks like {1} with a password, so nobody was told. Put / in front of it.
note.slip Is {1} meant? Put / in front of it. Or send it once more, and it is said as it is.
note.token This is what one logs in with, so nobody was told. Send /login alone, and put it into the field that comes.
note.unanswered Not known whether this was done
note.unsent Not sent to {1}: “{2}”. {3}
note.wall {1} tells everybody
note.wary {1} was not carried out, and this may be a password, so nobody was told. Send it once more to say it here.
notIn You are not in {0}
notify Notifications
notify.denied This browser forbids them to this page: its settings for this page can change that.
notify.insecure They need an encrypted connection (https).
notify.none This browser has none.
offer Somebody wrote to you while you were elsewhere.
ok OK
oldPassword Your password until now
older Earlier messages
op Let keep order
open Go
original Send the originals: whole, with where and when photos were taken, and all else that the camera noted
owned {0} is yours now
ownedHere This name belongs to somebody. If that is you, log in.
ownedHow With the password you come in by this name from anywhere: “I have a name here”.
pending Waiting to be sent
rank.founder founder
rank.op keeps order
rank.voice voice
reason Reason
refusal.bad-digest Something was lost on the way. Send it again.
refusal.bad-key This room has a key.
refusal.bad-name.join No room can be called that: one word of up to 30 letters of one alphabet, digits, - and _ behind the #.
refusal.bad-name.send This file cannot be sent under its name. Give it a short one, and send it again.
refusal.banned You may not come into this room. Those who keep order there can let you in.
refusal.busy That did not work just now. Try again in a moment.
refusal.changed The file has changed meanwhile. Send it again.
refusal.elsewhere The connection was lost, and whoever has that name now may be somebody else.
refusal.garbled Something was lost on the way. Fetch it again.
refusal.gone It is there no more.
refusal.held This name belonged to somebody not long ago. Please choose another.
refusal.insecure Others can read along on this connection, so your password was not sent. If there is an address with https, come by that.
refusal.invite-only Only people who are invited come into this room. Those who keep order there can invite you.
refusal.muted You may not speak here now.
refusal.muted.guests Only people who own their names may speak here. “Own this name” in the settings makes yours your own.
refusal.muted.owners Only people who own their names may speak here.
refusal.no-account Only people who own their names may do that. The settings say how a name becomes yours.
refusal.no-account.join Only people who own their names may do that: enter this room, or make a room. The settings say how a name becomes yours.
refusal.no-room Nobody hears you here. Enter a room first.
refusal.no-space The server has no space for that now. Try again later.
refusal.no-such-file This file is there no more.
refusal.no-such-nick Nobody of that name is here.
refusal.no-such-nick.unignore You see what they say already.
refusal.no-such-room There is no such room.
refusal.not-in-room You are not in this room.
refusal.not-op Only those who keep order in this room may do that.
refusal.outdated The password of this server is another one now.
refusal.refused You may not do that, or it cannot be done here.
refusal.refused.passwd That is not right. Try again.
refusal.refused.register No name can be made yours here. Ask whoever runs this server.
refusal.stranger Whoever has that name now may be somebody else. Send it again.
refusal.too-big This file is larger than the server takes.
refusal.too-long That is too long. Make it shorter.
refusal.too-many That was too often, or it is too many. Wait a little, and try again.
refusal.too-many.get You are fetching several files already. Wait for one of them.
refusal.too-many.ignore You ignore as many people as one may.
refusal.too-many.invite That was too often, or too many are invited already. Wait a little, and try again.
refusal.too-many.join You may not enter more rooms now, or this one is full. Leave one, or wait a little, and try again.
refusal.too-many.login Too many wrong passwords came from where you are. Try again in ten minutes.
refusal.too-many.nick You have changed your name too often. Wait a minute.
refusal.too-many.pass Too many wrong passwords came from where you are. Try again in ten minutes.
refusal.too-many.register Too many names were made somebody’s own from where you are. Try again tomorrow, or ask whoever runs this server for a name.
refusal.too-many.send You may not share more files now. Take one back, or wait until others are sent.
refusal.unkept There is no room for it in this browser. Close other pages, and fetch it again.
refusal.unknown-command There is no such command. A / alone shows those there are.
refusal.usage It is not written like that: {0}
refusal.usage.passwd A password has no blanks, 8 characters or more, does not begin with “token:”, and is not the name.
refusal.usage.register A password has no blanks, 8 characters or more, does not begin with “token:”, and is not the name.
regain Your last visit here still has your name. It comes back to you in three minutes, or five at most.
register Own this name
registerHow For a name of your own you need an encrypted connection (https): others could read its password here.
registerWhy With a password this name is yours, and nobody else’s.
rename Change
reply Reply
save Save
sendTo Send to {0}
setAway Set
show Show
showPassword Show the password
smaller Photos are made smaller, to 2,048 pixels at most.
tell Tell me when somebody writes to me
tellTyping Let others see when I type
textName text
theme Brightness
toEnd To the newest
tooBig {0} is larger than the {1} that this server takes.
topic Topic
type1 {0} is typing …
type2 {0} and {1} are typing …
type3 {0}, {1} and {2} are typing …
unban End it
unknown Not known whether this arrived.
unread {0} unread|{0} unread
unreadable This browser cannot read {0}. Send the original, with the place and all else that its camera wrote into it?
unsent Not sent: {0}
unshown.audio This recording cannot be shown
unshown.image This picture cannot be shown
unshown.video This film cannot be shown
until until {0}, {1}
voice Give a voice
went {0} left|{0} left
write Write to {0}
writeTo Write to {0}
writesYou {0} writes to you
wrongKey That is not the key of this room. Try again.
wrote wrote to you
you You
`;
