//! The ways in which a message can be out of order, and the status that each deserves.

use http::StatusCode;

/// Why a message was refused before it was read as a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Violation {
    /// A line ends with LF alone (RFC 9112, section 2.2).
    #[error("a line ends with LF alone")]
    BareLf,
    /// CR stands without LF.
    #[error("CR stands without LF")]
    BareCr,
    /// NUL or another control character.
    #[error("a control character in the head")]
    Control,
    /// Not `method SP target SP version`.
    #[error("the request line is not of the form METHOD /path HTTP/1.1")]
    RequestLine,
    /// Absolute-form, authority-form or asterisk-form: we are no proxy (RFC 9112, section 3.2).
    #[error("the request target does not begin with /")]
    Target,
    /// Neither HTTP/1.1 nor HTTP/1.0; the preface of HTTP/2 among them.
    #[error("only HTTP/1.1 and HTTP/1.0 are spoken here")]
    Version,
    /// A field line without a name, with a space before the colon, or with a forbidden character in its name.
    #[error("a header field has no proper name")]
    FieldName,
    /// A field continued on the next line (RFC 9112, section 5.2).
    #[error("a header field is continued on a second line")]
    Folded,
    /// More fields than the limit.
    #[error("too many header fields")]
    TooManyFields,
    /// The request line alone is larger than a head may be.
    #[error("the request line is too long")]
    TargetTooLong,
    /// The head is larger than the limit.
    #[error("the head is too large")]
    HeadTooLarge,
    /// No Host, or an empty one.
    #[error("no Host header field")]
    MissingHost,
    /// More than one Host.
    #[error("more than one Host header field")]
    RepeatedHost,
    /// A Host that is not a name or address with an optional port.
    #[error("the Host header field is not a host with an optional port")]
    BadHost,
    /// Content-Length is not a plain number.
    #[error("Content-Length is not a number")]
    BadLength,
    /// More than one Content-Length, equal or not.
    #[error("more than one Content-Length header field")]
    RepeatedLength,
    /// Content-Length and Transfer-Encoding together (RFC 9112, section 6.1).
    #[error("Content-Length together with Transfer-Encoding")]
    LengthAndCoding,
    /// A transfer coding other than `chunked`, or more than one.
    #[error("a transfer coding other than chunked")]
    UnknownCoding,
    /// Transfer-Encoding in an HTTP/1.0 request (RFC 9112, section 6.1).
    #[error("Transfer-Encoding in an HTTP/1.0 request")]
    CodingInHttp10,
    /// A chunk's size or line end is wrong, or the chunk has an extension.
    #[error("a chunk of the body is malformed")]
    BadChunk,
    /// Trailer fields after the last chunk: nothing here reads any.
    #[error("trailer fields are not accepted")]
    Trailer,
    /// The head did not arrive within its deadline.
    #[error("the head did not arrive in time")]
    HeadTooSlow,
}

impl Violation {
    /// The status to answer with (RFC 9110, section 15.5; RFC 9112, sections 3 and 6.1).
    pub fn status(self) -> StatusCode {
        match self {
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
            Self::HeadTooLarge | Self::TooManyFields => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Version => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Self::UnknownCoding => StatusCode::NOT_IMPLEMENTED,
            Self::HeadTooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::BareLf | Self::BareCr | Self::Control | Self::RequestLine | Self::Target => StatusCode::BAD_REQUEST,
            Self::FieldName | Self::Folded | Self::MissingHost | Self::RepeatedHost => StatusCode::BAD_REQUEST,
            Self::BadHost | Self::BadLength | Self::RepeatedLength | Self::LengthAndCoding => StatusCode::BAD_REQUEST,
            Self::CodingInHttp10 | Self::BadChunk | Self::Trailer => StatusCode::BAD_REQUEST,
        }
    }

    /// Whether it was found in a body, whose head has been let through already.
    pub fn is_in_body(self) -> bool {
        matches!(self, Self::BadChunk | Self::Trailer)
    }
}
