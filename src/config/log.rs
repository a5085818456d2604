//! `[log]`: how the log is written. Where it goes is standard error, and the service manager's matter from there.

use super::section::Section;
use super::values::word;
use crate::platform::logging::{LogFormat, LogLevel};

/// How the log is written.
#[derive(Debug, Clone, Copy)]
pub struct Log {
    /// Text or JSON.
    pub format: LogFormat,
    /// From which importance.
    pub level: LogLevel,
}

impl Log {
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        let formats = [("auto", LogFormat::Auto), ("text", LogFormat::Text), ("json", LogFormat::Json)];
        let format = section.or("format", LogFormat::Auto, word(formats));
        let levels = [
            ("error", LogLevel::Error),
            ("warn", LogLevel::Warn),
            ("info", LogLevel::Info),
            ("debug", LogLevel::Debug),
        ];
        let level = section.or("level", LogLevel::Info, word(levels));
        Some(Self { format: format?, level: level? })
    }
}
