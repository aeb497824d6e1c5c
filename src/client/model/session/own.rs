//! What the server knows nothing of, or knows otherwise: commands of this client's own, and those that it has in its own way.

/// What this client does in its own way, with what stands for it in the server's help.
const OWN_HELP: &[(&str, &[&str])] = &[
    ("/send ", &["/send [TARGET] PATH  share the file at PATH, in quotes if that has blanks"]),
    ("/get ", &["/get ID  fetch a file, and save it", SHOW]),
    ("/cancel ", &["/cancel ID or NAME  stop a transfer, or else withdraw your file"]),
    ("/login ", &["/login NICK  be NICK, whose password you know; it is asked for, and not shown"]),
    ("/register ", &["/register  make the name that you have yours; the password is asked for, and not shown"]),
    ("/passwd ", &["/passwd  change the password of your name; both are asked for, and not shown"]),
    (
        "/drop ",
        &[
            "/drop  give your name up, and its ranks, and nobody can have it for 30 days; the password is asked for, and not shown",
        ],
    ),
    ("/set ", &["/set [presence|typing on|off]  your settings, or change one"]),
    ("/quit ", &["/quit [REASON]  leave the server"]),
    // What the client does by itself.
    ("/keep ", &[]),
    ("/resume ", &[]),
];
/// The keys of the screen, told besides the commands.
pub(super) const KEYS: &str = "Tab completes; Ctrl-R looks for a line that you typed; Alt-Left and Alt-Right go through the conversations; Ctrl-D leaves. chinwag connect --plain is for screen readers";
/// What the server knows nothing of: commands, and their help.
pub(super) const OWN: &[(&str, &str)] = &[
    ("show", SHOW),
    ("search", "/search WORD  look for WORD in what was shown here and in the history of this room"),
    ("fold", "/fold on|off  tell only how many come and go, as in 4 came, 2 left"),
];
/// What they are called in the list of all commands.
pub(super) const OWN_GROUP: &str = "this client:";
pub(super) const SHOW: &str = "/show ID [full]  show a picture, small or as large as there is room";

/// What stands in the place of a line of the server's help.
pub(super) fn own_help(text: &str) -> Option<&'static [&'static str]> {
    OWN_HELP.iter().find(|(usage, _)| text.starts_with(usage)).map(|(_, help)| *help)
}
