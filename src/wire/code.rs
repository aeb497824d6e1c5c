//! The stable words of the protocol that tell why: of refusals, failed transfers, withdrawn files, farewells and losses.

macro_rules! codes {
    ($($name:ident $word:literal)+) => {
        /// Why something is not, for programs. The text beside it is for people.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[allow(missing_docs, reason = "PROTOCOL.md tells what each one means")]
        pub enum Code<'a> {
            $($name,)+
            /// One that is newer than this program.
            Other(&'a str),
        }

        impl Code<'static> {
            /// Every code that there is.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];
        }

        impl<'a> Code<'a> {
            /// Reads the word of a code.
            pub fn new(word: &'a str) -> Self {
                match word {
                    $($word => Self::$name,)+
                    _ => Self::Other(word),
                }
            }

            /// The word, as it stands on the wire.
            pub fn as_str(self) -> &'a str {
                match self {
                    $(Self::$name => $word,)+
                    Self::Other(word) => word,
                }
            }
        }
    };
}

codes! {
    UnknownCommand "unknown-command"
    Usage "usage"
    TooLong "too-long"
    TooMany "too-many"
    Locked "locked"
    BadName "bad-name"
    Taken "taken"
    NoSuchNick "no-such-nick"
    NoSuchRoom "no-such-room"
    NotInRoom "not-in-room"
    NoRoom "no-room"
    NoSuchFile "no-such-file"
    NoUpload "no-upload"
    BadChunk "bad-chunk"
    BadDigest "bad-digest"
    TooBig "too-big"
    NoSpace "no-space"
    Gone "gone"
    Busy "busy"
    Refused "refused"
    Owned "owned"
    Held "held"
    Insecure "insecure"
    NotOp "not-op"
    Banned "banned"
    Muted "muted"
    InviteOnly "invite-only"
    BadKey "bad-key"
    NoAccount "no-account"
    Blocked "blocked"
    Full "full"
    Idle "idle"
    TooSlow "too-slow"
    Shutdown "shutdown"
    NotHttp "not-http"
    NotIrc "not-irc"
    NotText "not-text"
    NotChat "not-chat"
    Reset "reset"
    Timeout "timeout"
    Killed "killed"
}
