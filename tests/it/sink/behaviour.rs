//! The table of behaviours: at which point of the talk which one does what. How it is done is in `sink`.

use self::Act::{Close, Drip, Endless, Grey, Hold, HugeLine, InjectLate, Late, Reset, Say, Slow};
use self::Moment::{Auth, Banner, ClearHello, Content, Data, Handshake, Hello, Quit, Rcpt, Sender, StartTls};

/// A point of the talk at which the sink answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    Handshake,
    Banner,
    ClearHello,
    StartTls,
    Hello,
    Auth,
    Sender,
    Rcpt,
    Data,
    Content,
    Quit,
}

/// What it does there instead of the proper answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// These bytes.
    Say(&'static [u8]),
    /// Nothing, and the connection stays open.
    Hold,
    /// Hangs up.
    Close,
    /// Hangs up with a TCP reset.
    Reset,
    /// These bytes, one a second.
    Drip(&'static [u8]),
    /// A reply whose last line never comes.
    Endless,
    /// One line of 30 MB.
    HugeLine,
    /// 450 the first time that a recipient is named.
    Grey,
    /// 220 to STARTTLS and, a moment later, a reply in clear.
    InjectLate,
    /// The proper answer, after 400 ms.
    Slow,
    /// The proper answer, as soon as the sink behaves otherwise.
    Late,
}

macro_rules! behaviours {
    ($($(#[$doc:meta])* $name:ident: $moment:expr, $act:expr;)+) => {
        /// What the sink does, by name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Behaviour {
            /// Everything right.
            Ok,
            $($(#[$doc])* $name,)+
        }

        impl Behaviour {
            /// Every one of them.
            pub(crate) const ALL: &'static [Self] = &[Self::Ok, $(Self::$name),+];

            /// What it does at a point, if not the proper thing.
            pub(in crate::sink) fn at(self, now: Moment) -> Option<Act> {
                match self {
                    Self::Ok => None,
                    $(Self::$name => (now == $moment).then_some($act),)+
                }
            }
        }
    };
}

behaviours! {
    /// 450 to each recipient once, then everything right.
    Grey450: Rcpt, Grey;
    Banner421: Banner, Say(b"421 4.3.2 busy\r\n");
    Banner554: Banner, Say(b"554 5.3.2 no service\r\n");
    SilentBanner: Banner, Hold;
    SilentHandshake: Handshake, Hold;
    CloseHandshake: Handshake, Close;
    PlainTextOnTlsPort: Handshake, Say(b"220 relay.exempel.se ESMTP\r\n");
    TarpitBanner: Banner, Drip(b"220 relay.exempel.se ESMTP\r\n");
    GarbageBanner: Banner, Say(b"\0\xff\xfe\x01 not smtp\r\n");
    /// A reply before anything was asked.
    TalkativeBanner: Banner, Say(b"220 relay\r\n250 relay\r\n");
    Hello550: Hello, Say(b"550 5.7.1 go away\r\n");
    SilentHello: Hello, Hold;
    EndlessHello: Hello, Endless;
    HugeLineHello: Hello, HugeLine;
    SlowHello: Hello, Slow;
    StripStartTls: ClearHello, Say(b"250-relay\r\n250 8BITMIME\r\n");
    TalkativeClearHello: ClearHello, Say(b"250-relay\r\n250 STARTTLS\r\n220 go\r\n");
    StartTls454: StartTls, Say(b"454 4.7.0 not available\r\n");
    StartTls250: StartTls, Say(b"250 ok\r\n");
    /// Half a command's worth of bytes behind the 220.
    InjectBytes: StartTls, Say(b"220 go\r\n250");
    /// A reply in clear behind the 220, to be read as the answer to EHLO inside TLS. The mail is refused later with 552.
    Inject552: StartTls, Say(b"220 go\r\n250 relay\r\n");
    InjectAfter220: StartTls, InjectLate;
    /// SIZE 100, no 8BITMIME, and 552 in the end.
    TinySize: Hello, Say(b"250-relay\r\n250 SIZE 100\r\n");
    No8BitMime: Hello, Say(b"250 relay\r\n");
    AuthCramOnly: Hello, Say(b"250-relay\r\n250 AUTH CRAM-MD5 SCRAM-SHA-256\r\n");
    Auth535: Auth, Say(b"535 5.7.8 wrong\r\n");
    Auth454: Auth, Say(b"454 4.7.0 later\r\n");
    Auth334: Auth, Say(b"334 UGFzc3dvcmQ6\r\n");
    AuthHang: Auth, Hold;
    Sender451: Sender, Say(b"451 4.3.0 later\r\n");
    Sender550: Sender, Say(b"550 5.7.1 not you\r\n");
    Rcpt450: Rcpt, Say(b"450 4.2.0 later\r\n");
    Rcpt550: Rcpt, Say(b"550 5.1.1 unknown\r\n");
    Rcpt421: Rcpt, Say(b"421 4.3.2 bye\r\n");
    Rcpt251: Rcpt, Say(b"251 forwarded\r\n");
    Rcpt252: Rcpt, Say(b"252 perhaps\r\n");
    /// The number counts; the text is no UTF-8.
    Rcpt550Bytes: Rcpt, Say(b"550 5.1.1 \xff\xfe\r\n");
    /// 250 when the test lets it.
    LateRcpt: Rcpt, Late;
    /// Two replies to one recipient, so that each later one is out of step.
    RcptTwice: Rcpt, Say(b"250 ok\r\n250 ok\r\n");
    Data451: Data, Say(b"451 4.3.0 later\r\n");
    Data554: Data, Say(b"554 5.5.1 no\r\n");
    Data250: Data, Say(b"250 ok\r\n");
    SilentData: Data, Hold;
    /// The reply to the mail comes before the mail. The true one is 552.
    DataAndContent: Data, Say(b"354 go\r\n250 ok\r\n");
    CloseAfter354: Data, Close;
    Content452: Content, Say(b"452 4.3.1 full\r\n");
    Content552: Content, Say(b"552 5.3.4 too big\r\n");
    Content554: Content, Say(b"554 5.7.1 spam\r\n");
    Content421: Content, Say(b"421 4.3.2 bye\r\n");
    Content220: Content, Say(b"220 hello\r\n");
    Content251: Content, Say(b"251 forwarded\r\n");
    Content354: Content, Say(b"354 go on\r\n");
    Hang250: Content, Hold;
    /// 250 when the test lets it.
    Late250: Content, Late;
    Drop250: Content, Close;
    Reset250: Content, Reset;
    Drip250: Content, Drip(b"250 ok\r\n");
    EndlessContent: Content, Endless;
    HugeLineContent: Content, HugeLine;
    GarbageContent: Content, Say(b"250 \0ok\r\n");
    BytesContent: Content, Say(b"250 \xff\xfe\r\n");
    BareLfContent: Content, Say(b"250 ok\n");
    MixedContent: Content, Say(b"250-ok\r\n550 no\r\n");
    TwiceContent: Content, Say(b"250 ok\r\n552 no\r\n");
    /// Everything right, but QUIT finds the connection closed.
    DropQuit: Quit, Close;
    /// Everything right, and QUIT is never answered.
    HangQuit: Quit, Hold;
}
