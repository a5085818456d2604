//! The example configuration, and every mistake that can be made in it.

use std::collections::BTreeSet;

use super::*;

const EXAMPLE: &str = include_str!("../../deploy/tallyd.toml");

/// The example with every commented default switched on.
fn everything() -> String {
    let switched_on = |line: &str| match line.strip_prefix('#') {
        Some(rest) if !rest.starts_with([' ', '#']) && !rest.is_empty() => format!("{rest}\n"),
        Some(_) | None => format!("{line}\n"),
    };
    EXAMPLE.lines().map(switched_on).collect()
}

fn parse(text: &str) -> Result<Config, ConfigRefused> {
    Config::parse(Path::new("tallyd.toml"), text)
}

/// One `key = value` of a text: its line from 0, its dotted key with the place in arrays, and its value.
struct Setting {
    line: usize,
    path: String,
    key: String,
    value: String,
}

/// A reader of its own, so that the test does not believe the code that it tests.
fn settings(text: &str) -> Vec<Setting> {
    let mut found: Vec<Setting> = Vec::new();
    let mut section = String::new();
    let mut places = std::collections::BTreeMap::new();
    for (line, content) in text.lines().enumerate() {
        if let Some(name) = content.strip_prefix("[[").and_then(|rest| rest.strip_suffix("]]")) {
            let place = places.entry(name).and_modify(|place| *place += 1).or_insert(0);
            section = format!("{name}[{place}].");
        } else if let Some(name) = content.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = format!("{name}.");
        } else if let Some((key, value)) = content.split_once(" = ").filter(|_| !content.starts_with([' ', '#'])) {
            found.push(Setting { line, path: format!("{section}{key}"), key: key.to_owned(), value: value.to_owned() });
        }
    }
    found
}

/// The text with one line replaced; the rest of a value over several lines goes with it.
fn with_line(text: &str, line: usize, replacement: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for (number, content) in text.lines().enumerate() {
        if number == line {
            out.push_str(replacement);
            inside = content.ends_with('[');
        } else if inside {
            inside = content != "]";
        } else {
            out.push_str(content);
        }
        out.push('\n');
    }
    out
}

/// Whether one of the faults names the key, on its line.
fn names(refused: &ConfigRefused, key: &str, line: usize) -> bool {
    refused.faults.iter().any(|fault| fault.key == key && fault.line == Some(line + 1) && !fault.hint.is_empty())
}

#[test]
fn the_example_loads_and_its_comments_tell_the_defaults() {
    let (as_shipped, mut switched_on) = (parse(EXAMPLE).unwrap(), parse(&everything()).unwrap());
    // What the comments call the default is the default, but for single anchors and the limits of single doors, which are
    // examples.
    assert!(!switched_on.anchors.files.is_empty() && !switched_on.anchors.logs.is_empty());
    (switched_on.anchors.files, switched_on.anchors.logs) = (Vec::new(), Vec::new());
    switched_on.anchors.witnesses.clear();
    let strip = |config: &Config| {
        let text = format!("{config:?}");
        text.split("Limits {")
            .map(|part| part.split_once('}').map_or(part, |(_, rest)| rest).to_owned())
            .collect::<String>()
    };
    assert_eq!(strip(&as_shipped), strip(&switched_on));
    assert_eq!(as_shipped.pickups.first().unwrap().listener.limits, Limits::default());
    assert_eq!(as_shipped.gateway.unwrap().tls.unwrap().limits.connections_per_source, 1024);
}

#[test]
fn a_slip_in_any_key_is_refused_by_name() {
    let text = everything();
    for setting in settings(&text) {
        let misspelt = format!("{}x = 1", setting.key);
        let refused = parse(&with_line(&text, setting.line, &misspelt)).unwrap_err();
        assert!(names(&refused, &format!("{}x", setting.path), setting.line), "{}: {refused}", setting.path);
    }
}

#[test]
fn a_wrong_type_of_any_key_is_refused_by_name() {
    let text = everything();
    for setting in settings(&text) {
        for wrong in ["1979-05-27", "{ a = 1 }", "0.5"] {
            let refused = parse(&with_line(&text, setting.line, &format!("{} = {wrong}", setting.key))).unwrap_err();
            assert!(names(&refused, &setting.path, setting.line), "{} = {wrong}: {refused}", setting.path);
        }
    }
}

#[test]
fn a_value_out_of_range_of_any_key_is_refused_by_name() {
    let text = everything();
    for setting in settings(&text) {
        let wrong: &[&str] = match setting.value.as_bytes()[0] {
            b'"' if setting.value.as_bytes()[1].is_ascii_digit() => &["\"\"", "\"7\"", "\"99999999999999999999d\""],
            b'"' => &["\"\"", "\"\\u0000\"", "\"å\\n\""],
            b'[' => &["[\"\"]", "[\"a\\nb\"]", "[[]]"],
            b't' | b'f' => &["\"true\"", "0"],
            _ => &["-1", "18446744073709551616", "99999999"],
        };
        for wrong in wrong {
            let refused = parse(&with_line(&text, setting.line, &format!("{} = {wrong}", setting.key))).unwrap_err();
            assert!(names(&refused, &setting.path, setting.line), "{} = {wrong}: {refused}", setting.path);
        }
    }
}

#[test]
fn a_missing_key_has_a_default_or_is_named() {
    let text = everything();
    for setting in settings(&text) {
        if let Err(refused) = parse(&with_line(&text, setting.line, "")) {
            let section = setting.path.rsplit_once('.').map_or("", |(section, _)| section);
            // Where keys go in pairs or instead of each other, the other one may be named.
            let named = refused.faults.iter().any(|fault| fault.key.starts_with(section) && !fault.hint.is_empty());
            assert!(named, "{}: {refused}", setting.path);
        }
    }
}

#[test]
fn the_example_shows_every_key_that_there_is() {
    let text = everything();
    let shown: BTreeSet<String> = settings(&text).into_iter().map(|setting| setting.path).collect();
    let headers: Vec<_> = text.lines().filter(|line| line.starts_with('[')).collect();
    let with_unknown: String = text
        .lines()
        .map(|line| if line.starts_with('[') { format!("{line}\nnonsense_key = 1\n") } else { format!("{line}\n") })
        .collect();
    let refused = parse(&format!("nonsense_key = 1\n{with_unknown}")).unwrap_err();
    let unknown: Vec<_> = refused.faults.iter().filter(|fault| fault.key.ends_with("nonsense_key")).collect();
    assert_eq!(unknown.len(), headers.len() + 1, "each section refuses what it does not know");
    for fault in unknown {
        let section = fault.key.strip_suffix("nonsense_key").unwrap();
        // The doors of [limits] repeat its keys.
        if section.starts_with("limits.") && section != "limits." {
            continue;
        }
        for key in fault.hint.rsplit("nown here: ").next().unwrap().split(", ") {
            // A gateway is known as senders are, and those show all of the ways.
            let section = if section.starts_with("gateway.client") { "sender." } else { section };
            let of_any_entry = |section: &str| section.split('[').next().unwrap_or_default().to_owned();
            let is_shown = shown.iter().any(|path| {
                path.rsplit_once('.').map_or(path.as_str(), |(_, last)| last) == key
                    && of_any_entry(path).starts_with(of_any_entry(section).trim_end_matches('.'))
            });
            let is_section = headers.iter().any(|header| header.trim_matches(['[', ']']) == format!("{section}{key}"));
            assert!(is_shown || is_section, "{section}{key} is not in the example");
        }
    }
}

#[test]
fn all_faults_are_told_at_once_in_the_order_of_the_file_with_the_key_that_was_meant() {
    let text = everything().replace("sessions = 4", "sesions = 4").replace("fetches = 10", "fetches = 0");
    let text = text.replace("prefix = \"ex\"", "prefix = \"E X\"");
    let refused = parse(&text).unwrap_err();
    let keys: Vec<_> = refused.faults.iter().map(|fault| fault.key.as_str()).collect();
    assert_eq!(keys, ["agency.prefix", "mail.sesions", "policy.fetches"]);
    let said = refused.to_string();
    assert!(said.contains("mail.sesions: is not a known key\n  hint: did you mean sessions?"), "{said}");
    assert!(said.contains("policy.fetches: is out of range\n  hint: a whole number from 1 to 1000"), "{said}");
    assert!(said.contains("agency.prefix: is not of the right form\n  hint: 2 to 8 characters of a-z 0-9"), "{said}");
}

#[test]
fn a_password_where_a_file_belongs_is_not_repeated() {
    for pasted in ["\"hunter2hunter2\"", "[\"hunter2hunter2\"]", "\"hunter2hunter2"] {
        let text = EXAMPLE.replace("\"credential:mail-password\"", pasted);
        let refused = parse(&text).unwrap_err();
        assert!(!refused.to_string().contains("hunter2"), "{refused}");
    }
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    for (from, to, key) in [
        ("#listen = \"127.0.0.1:9464\"", "listen = \"0.0.0.0:9464\"", "metrics.listen"),
        ("#listen = \"127.0.0.1:9464\"", "listen = \"10.0.0.1:9464\"", "metrics.listen"),
        ("#grace = \"7d\"", "grace = \"31d\"", "policy.grace"),
        ("#retry_first = \"1m\"", "retry_first = \"2h\"", "mail.retry_first"),
        ("listen = \"0.0.0.0:8442\"", "listen = \"0.0.0.0:8441\"", "pickup.listen"),
        ("environment = \"test\"", "environment = \"production\"", "pickup"),
        ("name = \"agreement-register\"", "name = \"case-system\"", "sender"),
        ("organisation = \"5590000005\"", "san_dns = \"cases.exempel.se\"", "sender"),
        ("organisation = \"5590000005\"", "organisation = \"5590000006\"", "sender[1].organisation"),
        (
            "san_dns = \"cases.exempel.se\"",
            "san_dns = \"cases.exempel.se\"\norganisation = \"5590000005\"",
            "sender[0].san_dns",
        ),
        ("name = \"sandbox\"", "name = \"population-register\"", "api"),
        ("username = \"tallyd\"", "", "mail.username"),
        ("#url = \"sqlite:\"", "url = \"postgres://localhost\"", "store.url"),
        ("listen = \"0.0.0.0:8444\"", "", "gateway.certificate"),
        ("socket = \"/run/tallyd/gateway.sock\"", "", "gateway.users"),
        ("users = [\"root\"]\ngroups = [\"tallyd-operators\"]", "", "operator.users"),
    ] {
        assert!(EXAMPLE.contains(from), "{from}");
        let refused = parse(&EXAMPLE.replacen(from, to, 1)).unwrap_err();
        assert!(refused.faults.iter().any(|fault| fault.key == key), "{to}: {refused}");
    }
}

#[test]
fn an_empty_file_names_what_must_be_written() {
    let refused = parse("").unwrap_err();
    for key in ["agency.name", "journal.origin", "sealing.key", "intake.listen", "mail.host", "operator.users"] {
        assert!(refused.faults.iter().any(|fault| fault.key == key), "{key}: {refused}");
    }
}

#[test]
fn a_file_that_others_may_write_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let path = std::env::temp_dir().join(format!("tallyd-unit-config-{}.toml", std::process::id()));
    std::fs::write(&path, EXAMPLE).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let accepted = Config::load(&path);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
    let refused = Config::load(&path);
    std::fs::remove_file(&path).unwrap();
    let absent = Config::load(&path);
    accepted.unwrap();
    assert!(refused.unwrap_err().to_string().contains("hint: chmod go-w"));
    assert!(absent.unwrap_err().to_string().contains("hint: create the file, or correct the path"));
}
