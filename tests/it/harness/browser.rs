//! A real browser of a person at Exempel AB: headless Chromium with the organisation's certificate, driven over WebDriver.
//! It keeps the log of every request that left it.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use data_encoding::BASE64;
use serde_json::{Value, json};
use tallyd::domain::ids::Environment;

use super::pki::Pair;
use super::{Harness, SOON, free_port};

/// How a browser differs from the usual one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Habits {
    /// What it prefers, as `Accept-Language` has it.
    pub(crate) languages: &'static str,
    /// Whether pages may run scripts.
    pub(crate) scripts: bool,
}

/// One browser with one page.
pub(crate) struct Browser {
    driver: Child,
    port: u16,
    session: String,
    at: String,
    directory: PathBuf,
}

impl Browser {
    /// With the certificate that Exempel AB has for the test environment, reading English.
    pub(crate) fn open(harness: &Harness) -> Self {
        Self::with(harness, Habits { languages: "en-GB,en", scripts: true })
    }

    /// With other habits.
    pub(crate) fn with(harness: &Harness, habits: Habits) -> Self {
        let port = free_port();
        let directory = harness.path().join(format!("outside/browser-{port}"));
        std::fs::create_dir_all(directory.join("downloads")).unwrap();
        certificates(&directory, &harness.files.organisation_test, &harness.files.server_ca());
        let log = std::fs::File::create(directory.join("driver.log")).unwrap();
        let driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .env("HOME", &directory)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("chromedriver is installed");
        let at = format!("https://localhost:{}", harness.ports.pickup(Environment::Test));
        let mut browser = Self { driver, port, session: String::new(), at, directory };
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(began.elapsed() < SOON, "chromedriver does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        let session = browser.command("POST", "/session", Some(&browser.capabilities(habits)));
        browser.session = format!("/session/{}", session["sessionId"].as_str().unwrap());
        browser
    }

    fn capabilities(&self, habits: Habits) -> Value {
        let profile = format!("--user-data-dir={}", self.directory.join("profile").display());
        let choice = json!({ "pattern": self.at, "filter": {} }).to_string();
        json!({ "capabilities": { "alwaysMatch": {
            "goog:loggingPrefs": { "performance": "ALL", "browser": "ALL" },
            "goog:chromeOptions": {
                "args": [
                    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                    "--disable-background-networking", "--disable-component-update", "--disable-sync",
                    "--window-size=1000,900", profile,
                ],
                "prefs": {
                    "intl.accept_languages": habits.languages,
                    "profile.managed_auto_select_certificate_for_urls": [choice],
                    "profile.default_content_setting_values.javascript": if habits.scripts { 1 } else { 2 },
                    "download.default_directory": self.directory.join("downloads"),
                },
            },
        }}})
    }

    /// Goes to a path of the pickup door.
    pub(crate) fn go(&self, path: &str) {
        self.post("/url", &json!({ "url": format!("{}{path}", self.at) }));
    }

    /// Shows a text as a file of its own, as a mail program shows a mail.
    pub(crate) fn show(&self, name: &str, html: &str) {
        let path = self.directory.join(format!("{name}.html"));
        std::fs::write(&path, html).unwrap();
        self.post("/url", &json!({ "url": format!("file://{}", path.display()) }));
    }

    /// Presses something, as a person does.
    pub(crate) fn click(&self, css: &str) {
        let element = self.find(css);
        self.post(&format!("/element/{element}/click"), &json!({}));
    }

    /// Follows the link with this text.
    pub(crate) fn follow(&self, text: &str) {
        let found = self.post("/element", &json!({ "using": "partial link text", "value": text }));
        let element = found.as_object().unwrap().values().next().unwrap().as_str().unwrap();
        self.post(&format!("/element/{element}/click"), &json!({}));
    }

    /// What a person reads there; empty while it is not shown.
    pub(crate) fn text(&self, css: &str) -> String {
        let element = self.find(css);
        self.get(&format!("/element/{element}/text")).as_str().unwrap().to_owned()
    }

    /// Waits until a person reads `words` there.
    pub(crate) fn until_says(&self, css: &str, words: &str) -> String {
        let began = Instant::now();
        loop {
            let text = self.text(css);
            if text.contains(words) {
                return text;
            }
            assert!(began.elapsed() < SOON, "{css} does not say {words:?} but {text:?}; {:?}", self.log("browser"));
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Empties a field and inserts a text, as pasting does.
    pub(crate) fn paste(&self, css: &str, text: &str) {
        let element = self.find(css);
        self.post(&format!("/element/{element}/clear"), &json!({}));
        self.post(&format!("/element/{element}/click"), &json!({}));
        self.type_in(text);
    }

    /// Presses the tabulator until something has the focus, then Enter.
    pub(crate) fn press_by_keyboard(&self, css: &str) {
        let focused = format!("document.activeElement.matches({})", json!(css));
        let tabs = (0..40).take_while(|_| self.value(&focused) != true).map(|_| self.key("\u{e004}")).count();
        assert!(tabs < 40, "{css} cannot be reached by the keyboard");
        self.key("\u{e007}");
    }

    /// Types into whatever has the focus, all at once.
    pub(crate) fn type_in(&self, text: &str) {
        self.devtools("Input.insertText", &json!({ "text": text }));
    }

    fn key(&self, key: &str) {
        let strokes = json!([{ "type": "keyDown", "value": key }, { "type": "keyUp", "value": key }]);
        self.post("/actions", &json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": strokes }] }));
    }

    /// What an expression is in the page.
    pub(crate) fn value(&self, expression: &str) -> Value {
        self.post("/execute/sync", &json!({ "script": format!("return {expression}"), "args": [] }))
    }

    /// A command of the browser's development tools.
    pub(crate) fn devtools(&self, command: &str, parameters: &Value) -> Value {
        self.post("/goog/cdp/execute", &json!({ "cmd": command, "params": parameters }))
    }

    /// What was downloaded under a name.
    pub(crate) fn downloaded(&self, harness: &Harness, name: &str) -> String {
        let path = self.directory.join("downloads").join(name);
        harness.until(name, || std::fs::read_to_string(&path).ok())
    }

    /// Every request that left the browser since this was asked last, with its header fields and its body.
    pub(crate) fn requests(&self) -> Vec<Value> {
        let messages = self.log("performance");
        let message = |entry: &Value| -> Value { serde_json::from_str(entry["message"].as_str().unwrap()).unwrap() };
        let sent =
            |message: &Value| message["message"]["method"].as_str().unwrap().starts_with("Network.requestWillBeSent");
        messages.iter().map(message).filter(sent).map(|message| message["message"]["params"].clone()).collect()
    }

    /// What the browser found wrong, such as a violation of the page's policy.
    pub(crate) fn complaints(&self) -> Vec<Value> {
        self.log("browser")
    }

    fn log(&self, kind: &str) -> Vec<Value> {
        self.post("/se/log", &json!({ "type": kind })).as_array().unwrap().clone()
    }

    /// Pictures of the whole page for people who look at it, in `target/tmp/pictures`.
    pub(crate) fn picture(&self, name: &str) {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pictures");
        std::fs::create_dir_all(&directory).unwrap();
        let sizes = [("wide", 1000, 1, false), ("phone", 390, 2, true)];
        for scheme in ["light", "dark"] {
            let feature = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
            self.devtools("Emulation.setEmulatedMedia", &json!({ "features": feature }));
            for (size, width, scale, mobile) in sizes {
                let metrics = json!({ "width": width, "height": 900, "deviceScaleFactor": scale, "mobile": mobile });
                self.devtools("Emulation.setDeviceMetricsOverride", &metrics);
                let whole = json!({ "format": "png", "captureBeyondViewport": true });
                let picture = self.devtools("Page.captureScreenshot", &whole);
                let bytes = BASE64.decode(picture["data"].as_str().unwrap().as_bytes()).unwrap();
                std::fs::write(directory.join(format!("{name}-{scheme}-{size}.png")), bytes).unwrap();
            }
        }
        self.devtools("Emulation.clearDeviceMetricsOverride", &json!({}));
        self.devtools("Emulation.setEmulatedMedia", &json!({ "features": [] }));
    }

    /// What axe-core finds wrong with the page as it stands, in one colour scheme: the rule and the place.
    pub(crate) fn barriers(&self, scheme: &str) -> Vec<String> {
        let feature = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.devtools("Emulation.setEmulatedMedia", &json!({ "features": feature }));
        // The development tools are not bound by the page's policy.
        self.devtools("Runtime.evaluate", &json!({ "expression": axe() }));
        let run = "axe.run().then(found => JSON.stringify(found.violations.flatMap(one => one.nodes.map(node => \
                   `${one.id}: ${node.target} ${node.failureSummary}`))))";
        let ran = self.devtools("Runtime.evaluate", &json!({ "expression": run, "awaitPromise": true }));
        let found = ran["result"]["value"].as_str().unwrap_or_else(|| panic!("axe-core did not run: {ran}"));
        serde_json::from_str(found).unwrap()
    }

    fn find(&self, css: &str) -> String {
        let found = self.post("/element", &json!({ "using": "css selector", "value": css }));
        found.as_object().unwrap().values().next().unwrap().as_str().unwrap().to_owned()
    }

    fn get(&self, path: &str) -> Value {
        self.command("GET", &format!("{}{path}", self.session), None)
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        self.command("POST", &format!("{}{path}", self.session), Some(body))
    }

    fn command(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let (head, body) = self.exchange(method, path, body).unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        assert!(head.starts_with("HTTP/1.1 200 "), "{method} {path}: {body}");
        serde_json::from_str::<Value>(&body).unwrap()["value"].clone()
    }

    /// One request to the driver, and the head and the body of its answer.
    fn exchange(&self, method: &str, path: &str, body: Option<&Value>) -> io::Result<(String, String)> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(SOON * 2))?;
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}", body.len())?;
        // The driver keeps its connections open, so the length says where the answer ends.
        let mut stream = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if stream.read_line(&mut head)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let mut fields = head.lines().filter_map(|line| line.split_once(':'));
        let length = fields.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        let length = length.and_then(|(_, length)| length.trim().parse().ok()).ok_or(io::ErrorKind::InvalidData)?;
        let mut body = vec![0; length];
        stream.read_exact(&mut body)?;
        Ok((head, String::from_utf8_lossy(&body).into_owned()))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // After a failed test as well: a browser would outlive its driver.
        let _ = self.exchange("DELETE", &self.session, None);
        if let Some(driver) = rustix::process::Pid::from_raw(self.driver.id().try_into().unwrap_or_default()) {
            let _ = rustix::process::kill_process(driver, rustix::process::Signal::TERM);
        }
        let _ = self.driver.wait();
    }
}

/// The source of axe-core, installed below `target` where it is missing.
fn axe() -> String {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/axe");
    let script = place.join("node_modules/axe-core/axe.min.js");
    if !script.exists() {
        let arguments = ["install", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"];
        let ran = Command::new("npm").args(arguments).arg(&place).arg("axe-core@4.10.3").output();
        let ran = ran.expect("npm is installed");
        assert!(ran.status.success(), "axe-core cannot be installed: {}", String::from_utf8_lossy(&ran.stderr));
    }
    std::fs::read_to_string(script).unwrap()
}

/// The browser's store of certificates: the authority that it trusts, and the organisation's own.
fn certificates(home: &Path, pair: &Pair, authority: &Path) {
    let database = home.join(".pki/nssdb");
    std::fs::create_dir_all(&database).unwrap();
    let script = format!(
        "db='sql:{}'; certutil -d \"$db\" -N --empty-password && certutil -d \"$db\" -A -t C,, -n servers -i '{}' && \
         openssl pkcs12 -export -name organisation -in '{}' -inkey '{}' -passout pass:test -out organisation.p12 && \
         pk12util -d \"$db\" -i organisation.p12 -W test",
        database.display(),
        authority.display(),
        pair.certificate.display(),
        pair.key.display(),
    );
    let ran = Command::new("sh").args(["-ec", &script]).current_dir(home).output().unwrap();
    assert!(ran.status.success(), "certutil and pk12util must be installed: {}", String::from_utf8_lossy(&ran.stderr));
}
