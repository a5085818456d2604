//! The far end of the mail: Postfix's `smtp-sink`, behind TLS by an nginx stream proxy. Both end when it is dropped.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::daemon::free_port;
use super::place::Place;

/// What becomes of mails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// They are thrown away.
    Gone,
    /// They are kept, for [`Sink::mails`].
    Kept,
}

pub(crate) struct Sink {
    /// Where it speaks TLS.
    pub(crate) port: u16,
    mails: PathBuf,
    /// The proxy first: it is ended first.
    processes: [Child; 2],
}

impl Sink {
    pub(crate) fn start(place: &Place, fate: Fate) -> Result<Self> {
        let (port, plain) = (free_port()?, free_port()?);
        let mails = place.path("mails");
        fs::DirBuilder::new().mode(0o700).recursive(true).create(&mails)?;
        let mut sink = Command::new("/usr/sbin/smtp-sink");
        if rustix::process::geteuid().is_root() {
            // As root it wants to be told whom to run as.
            sink.args(["-u", "root"]);
        }
        if fate == Fate::Kept {
            sink.arg("-d").arg(mails.join("mail."));
        }
        sink.arg(format!("127.0.0.1:{plain}")).arg("128");
        let dir = place.path("");
        let dir = dir.display();
        let config = format!(
            "load_module /usr/lib/nginx/modules/ngx_stream_module.so;\n\
             daemon off; worker_processes 1; pid {dir}/nginx.pid; error_log {dir}/nginx.log;\n\
             events {{ worker_connections 256; }}\n\
             stream {{ server {{ listen 127.0.0.1:{port} ssl; proxy_pass 127.0.0.1:{plain}; ssl_protocols TLSv1.3;\n\
             ssl_certificate {dir}/server.crt; ssl_certificate_key {dir}/server.key; }} }}\n"
        );
        let config = place.write("nginx.conf", &config)?;
        let mut proxy = Command::new("/usr/sbin/nginx");
        proxy.arg("-c").arg(config).args(["-e", "stderr"]);
        let quietly = |mut command: Command, package: &str| {
            let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            command.spawn().with_context(|| format!("is the package {package} installed?"))
        };
        let processes = [quietly(proxy, "libnginx-mod-stream")?, quietly(sink, "postfix")?];
        let sink = Self { port, mails, processes };
        wait_for(port)?;
        wait_for(plain)?;
        Ok(sink)
    }

    /// Every mail that was kept, from its first header on.
    pub(crate) fn mails(&self) -> Result<Vec<String>> {
        let mut mails = Vec::new();
        for entry in fs::read_dir(&self.mails)? {
            let text = fs::read_to_string(entry?.path())?;
            // Before the mail stands what the sink notes about the session.
            let start = text.find("\nFrom: ").context("a mail without a sender")?;
            mails.push(text.split_at(start + 1).1.to_owned());
        }
        Ok(mails)
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        for process in &mut self.processes {
            // nginx ends its worker when it is asked to, not when it is killed.
            if let Some(pid) = i32::try_from(process.id()).ok().and_then(Pid::from_raw) {
                let _ = kill_process(pid, Signal::TERM);
            }
            let _ = process.wait();
        }
    }
}

/// Waits until somebody listens on the port.
pub(crate) fn wait_for(port: u16) -> Result<()> {
    let began = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        if began.elapsed() > Duration::from_secs(10) {
            bail!("nobody listens on port {port}");
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}
