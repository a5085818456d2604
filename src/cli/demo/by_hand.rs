//! After the story, with `--keep`: what to run in another terminal to go through it by hand. New mails are written to
//! files, since there is no mailbox to open.

use std::path::Path;

use super::super::combine::Pasted;
use super::super::output::{Failure, Output};
use super::sink::{Mail, Sink};
use super::stage::Stage;
use super::{letter, others};

/// Explains, then writes down every mail that comes, until it is dropped.
pub(super) async fn stay(stage: &Stage, sink: &mut Sink, daemon: u32, output: &mut Output) -> Result<(), Failure> {
    let failed = |cause: std::io::Error| Failure::new("write to", stage.dir().display(), cause);
    let event = others::approval("approval-2", "case-2026-0418");
    let event = serde_json::to_string_pretty(&event).unwrap_or_default();
    stage.write("approval.json", event.as_bytes(), 0o644).map_err(failed)?;
    output.data(explanation(stage, daemon));
    let mut number = 0;
    while let Some(mail) = sink.next().await {
        number += 1;
        let name = format!("mail-{number}.txt");
        let text = text(&mail);
        stage.write(&name, text.as_bytes(), 0o600).map_err(failed)?;
        let what = match Pasted::find(&text).shares.first() {
            Some(share) => format!("the e-mail with part 1 of delivery {}", share.reference),
            None => "a notice".to_owned(),
        };
        output.data(format_args!("{} got {what}: {name}", mail.to));
    }
    Ok(())
}

fn text(mail: &Mail) -> zeroize::Zeroizing<String> {
    letter::plain_text(&mail.content)
        .unwrap_or_else(|| zeroize::Zeroizing::new(String::from_utf8_lossy(&mail.content).into_owned()))
}

fn explanation(stage: &Stage, daemon: u32) -> String {
    let here = quoted(stage.dir());
    let program = std::env::current_exe().unwrap_or_default();
    let programs = quoted(program.parent().unwrap_or(Path::new(".")));
    let (intake, pickup, gateway) = (stage.ports.intake, stage.ports.pickup_test, stage.ports.gateway);
    let metrics = stage.ports.metrics;
    format!(
        r#"
The daemon runs again (process {daemon}) until Ctrl-C. To try it by hand, in another terminal:

    cd {here}
    export PATH={programs}:"$PATH"

Post an approval, as the case system (approval.json; a new application needs a new id and application_id):

    curl --cacert tls/servers-ca.pem --cert tls/case-system.pem --key tls/case-system.key \
        -H 'Content-Type: {event_type}' --data-binary @approval.json https://localhost:{intake}/v1/events

The e-mail with part 1 is written to a file, which is named here when it comes. It names the delivery.

Pick up, as the organisation; first what awaits, then one delivery (in place of K7QF-2M9D, and with the e-mail's file):

    tallyd pickup --url https://localhost:{pickup}/ --ca tls/servers-ca.pem --cert tls/exempel.pem --key tls/exempel.key
    tallyd pickup --url https://localhost:{pickup}/ --ca tls/servers-ca.pem --cert tls/exempel.pem --key tls/exempel.key \
        --out keys.env K7QF-2M9D < mail-4.txt

Or without tallyd: collect with curl, then combine and confirm as the e-mail says:

    curl --cacert tls/servers-ca.pem --cert tls/exempel.pem --key tls/exempel.key -X POST \
        https://localhost:{pickup}/v1/deliveries/K7QF-2M9D/collect

Check the keys, as an API gateway (printf is part of the shell, so the secret is no program's argument):

    . ./keys.env
    printf 'user = "%s:%s"\n' "$OAUTH2_CLIENT_ID" "$OAUTH2_CLIENT_SECRET" | curl -i -K - \
        --cacert tls/servers-ca.pem --cert tls/gateway.pem --key tls/gateway.key https://localhost:{gateway}/v1/verify

Look after it, as an operator, and audit:

    tallyd --config tallyd.toml list
    tallyd --config tallyd.toml show case-2026-0418
    tallyd --config tallyd.toml reissue case-2026-0418 --reason 'trying it out'
    tallyd --config tallyd.toml audit verify
    curl http://127.0.0.1:{metrics}/metrics
    less logs/tallyd.log
"#,
        event_type = others::EVENT_TYPE,
    )
}

/// As one word for a shell.
fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte);
    if text.bytes().all(plain) { text.into_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word_for_a_shell() {
        assert_eq!(quoted(Path::new("/tmp/a-b_c.d")), "/tmp/a-b_c.d");
        assert_eq!(quoted(Path::new("/tmp/it's here")), r"'/tmp/it'\''s here'");
    }
}
