//! An nginx that guards a page with `auth_request` and the snippet that the README prints.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use data_encoding::BASE64;

use super::{Harness, SOON, free_port};
use crate::readme;

/// A running nginx, and the page behind it: `/population-register/` for that API, `/sandbox/` for another.
pub(crate) struct Nginx {
    process: Child,
    port: u16,
}

impl Nginx {
    /// With the README's snippet; only names of files, hosts and ports are this machine's.
    pub(crate) fn start(harness: &Harness) -> Self {
        let prefix = harness.path().join("outside/nginx");
        fs::create_dir_all(prefix.join("temp")).unwrap();
        let (port, page) = (free_port(), serve_page());
        let guard = readme::tested("nginx")
            .replace("tallyd.exempel.se:8444", &format!("127.0.0.1:{}", harness.ports.gateway))
            .replace("tallyd.exempel.se", "localhost")
            .replace("/etc/nginx/gateway.pem", &harness.files.gateway.certificate.display().to_string())
            .replace("/etc/nginx/gateway.key", &harness.files.gateway.key.display().to_string())
            .replace("/etc/nginx/tallyd-ca.pem", &harness.files.server_ca().display().to_string())
            .replace("127.0.0.1:8080", &format!("127.0.0.1:{page}"));
        fs::write(prefix.join("nginx.conf"), configuration(&prefix, port, &guard)).unwrap();
        let log = fs::File::create(prefix.join("stderr")).unwrap();
        let process = Command::new("/usr/sbin/nginx")
            .arg("-p")
            .arg(&prefix)
            .args(["-c", "nginx.conf", "-e", "error.log"])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("nginx is installed");
        let began = Instant::now();
        let mut nginx = Self { process, port };
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let told = || fs::read_to_string(prefix.join("stderr")).unwrap_or_default();
            assert!(nginx.process.try_wait().unwrap().is_none(), "nginx ended: {}", told());
            assert!(began.elapsed() < SOON, "nginx does not listen: {}", told());
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        nginx
    }

    /// Asks for a page with a pair, or with none: the status and the body.
    pub(crate) fn get(&self, path: &str, pair: Option<(&str, &str)>) -> (u16, String) {
        let authorisation = pair.map(|(client_id, secret)| {
            format!("Authorization: Basic {}\r\n", BASE64.encode(format!("{client_id}:{secret}").as_bytes()))
        });
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        let fields = authorisation.unwrap_or_default();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{fields}\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
    }

    /// What whoever has this pair is answered.
    pub(crate) fn status(&self, path: &str, client_id: &str, secret: &str) -> u16 {
        self.get(path, Some((client_id, secret))).0
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn configuration(prefix: &Path, port: u16, guard: &str) -> String {
    let prefix = prefix.display();
    let second = guard
        .replace("population-register", "sandbox")
        .replace("location = /tallyd ", "location = /tallyd-sandbox ")
        .replace("auth_request /tallyd;", "auth_request /tallyd-sandbox;");
    format!(
        "daemon off;\nmaster_process off;\npid {prefix}/pid;\nerror_log {prefix}/error.log info;\nevents {{}}\n\
         http {{\naccess_log off;\nclient_body_temp_path temp/1;\nproxy_temp_path temp/2;\nfastcgi_temp_path temp/3;\n\
         uwsgi_temp_path temp/4;\nscgi_temp_path temp/5;\n\
         server {{\nlisten 127.0.0.1:{port};\n{guard}\n{second}\n}}\n}}\n"
    )
}

/// The guarded page. It ends with the test's process.
fn serve_page() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = stream;
            let mut head = [0; 4096];
            let _ = stream.read(&mut head);
            let _ = stream.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 6\r\n\r\nguests");
        }
    });
    port
}
