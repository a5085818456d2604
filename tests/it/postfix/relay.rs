//! Postfix from the system's package, with a configuration, a queue and mailboxes of its own in a directory of the test.
//! It needs root, as Postfix does: without it the tests fail, they are never left out.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::harness::operator::{Ran, finish};
use crate::harness::{Harness, SOON};

/// Who owns the mailboxes: `nobody`, who owns nothing else.
pub(super) const MAILBOX_OWNER: u32 = 65_534;

/// Addresses that the relay accepts and that lead nowhere behind it.
const FORWARDS: &str = "gone@exempel.se moved@gone.example\nlate@exempel.se away@late.example\n";

/// What is behind it: a system that knows nobody, and one that is never reached.
const TRANSPORTS: &str =
    "gone.example error:5.1.1 no such mailbox here\nlate.example retry:4.4.1 nobody answers there\n";

/// A running Postfix.
pub(super) struct Postfix {
    directory: PathBuf,
    port: u16,
}

impl Postfix {
    pub(super) fn start(directory: &Path, port: u16, start_tls: bool, harness: &Harness, mailboxes: &[&str]) -> Self {
        let root = rustix::process::geteuid().is_root();
        assert!(root, "Postfix runs as root only: run these tests as root, as tests/run does in CI");
        let postfix = Self { directory: directory.to_owned(), port };
        for part in ["", "etc", "queue", "data", "mail", "log"] {
            fs::create_dir(directory.join(part)).unwrap();
        }
        let user = account_number("postfix");
        chown(directory.join("data"), Some(user), None).unwrap();
        chown(directory.join("mail"), Some(MAILBOX_OWNER), None).unwrap();
        fs::write(directory.join("etc/main.cf"), main_cf(directory, harness)).unwrap();
        fs::write(directory.join("etc/master.cf"), master_cf(port, start_tls)).unwrap();
        fs::write(directory.join("etc/mailboxes"), "").unwrap();
        for (file, lines) in [("forwards", FORWARDS), ("transports", TRANSPORTS)] {
            fs::write(directory.join("etc").join(file), lines).unwrap();
        }
        mailboxes.iter().for_each(|mailbox| postfix.write_mailbox(mailbox));
        postfix.begin();
        postfix
    }

    fn begin(&self) {
        self.command("start").expect_exit(0);
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(began.elapsed() < SOON, "Postfix does not listen:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// From now on there is such a mailbox. A reload would leave sessions that are kept open with the old table, and new
    /// ones waiting until those end, for want of a second tlsmgr.
    pub(super) fn add_mailbox(&self, address: &str) {
        self.command("stop").expect_exit(0);
        self.write_mailbox(address);
        self.begin();
    }

    /// Types commands for the Postfix of this machine, and has them meant for this one.
    pub(super) fn shell(&self, commands: &str) {
        let etc = self.directory.join("etc").display().to_string();
        // This one has no aliases but those that are made here.
        let commands = commands.replace("hash:/etc/aliases, ", "").replace("/etc/postfix", &etc);
        let commands = commands.replace("postconf -e", &format!("postconf -c {etc} -e"));
        let commands = commands.replace("postfix reload", &format!("postfix -c {etc} reload"));
        let mut command = Command::new("bash");
        command.args(["-euc", &commands]).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        finish(command).expect_exit(0);
    }

    /// What was delivered to a mailbox.
    pub(super) fn mails(&self, address: &str) -> Vec<Vec<u8>> {
        let Ok(entries) = fs::read_dir(self.directory.join("mail").join(address).join("new")) else { return vec![] };
        entries.map(|entry| fs::read(entry.unwrap().path()).unwrap()).collect()
    }

    pub(super) fn log(&self) -> String {
        fs::read_to_string(self.directory.join("log/postfix.log")).unwrap_or_default()
    }

    fn write_mailbox(&self, address: &str) {
        let path = self.directory.join("etc/mailboxes");
        let before = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{before}{address} {address}/\n")).unwrap();
    }

    fn command(&self, what: &str) -> Ran {
        let mut command = Command::new("/usr/sbin/postfix");
        command.arg("-c").arg(self.directory.join("etc")).arg(what);
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        finish(command)
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        let ended = self.command("stop");
        if !std::thread::panicking() {
            ended.expect_exit(0);
        }
    }
}

fn account_number(name: &str) -> u32 {
    let accounts = fs::read_to_string("/etc/passwd").unwrap();
    let line = accounts.lines().find(|line| line.split(':').next() == Some(name));
    let line = line.unwrap_or_else(|| panic!("there is no account {name}: is Postfix installed?"));
    line.split(':').nth(2).unwrap().parse().unwrap()
}

fn main_cf(directory: &Path, harness: &Harness) -> String {
    let dir = directory.display();
    let (certificate, key) = (&harness.files.relay.certificate, &harness.files.relay.key);
    format!(
        "compatibility_level = 3.6\n\
         queue_directory = {dir}/queue\n\
         data_directory = {dir}/data\n\
         command_directory = /usr/sbin\n\
         daemon_directory = /usr/lib/postfix/sbin\n\
         mail_owner = postfix\n\
         setgid_group = postdrop\n\
         maillog_file = {dir}/log/postfix.log\n\
         maillog_file_prefixes = {dir}\n\
         myhostname = relay.exempel.se\n\
         mydestination = myndigheten.example\n\
         mynetworks =\n\
         local_recipient_maps =\n\
         alias_maps =\n\
         virtual_alias_maps = texthash:{dir}/etc/forwards\n\
         transport_maps = texthash:{dir}/etc/transports\n\
         queue_run_delay = 1s\n\
         minimal_backoff_time = 1s\n\
         maximal_backoff_time = 2s\n\
         delay_warning_time = 1s\n\
         inet_interfaces = 127.0.0.1\n\
         inet_protocols = ipv4\n\
         smtpd_relay_restrictions = reject_unauth_destination\n\
         smtpd_tls_cert_file = {certificate}\n\
         smtpd_tls_key_file = {key}\n\
         smtpd_tls_loglevel = 1\n\
         virtual_mailbox_domains = exempel.se\n\
         virtual_mailbox_maps = texthash:{dir}/etc/mailboxes\n\
         virtual_mailbox_base = {dir}/mail\n\
         virtual_uid_maps = static:{MAILBOX_OWNER}\n\
         virtual_gid_maps = static:{MAILBOX_OWNER}\n",
        certificate = certificate.display(),
        key = key.display(),
    )
}

/// The fewest services that take a mail in and lay it into a mailbox; none of them in a chroot.
fn master_cf(port: u16, start_tls: bool) -> String {
    let tls = if start_tls { "smtpd_tls_security_level=encrypt" } else { "smtpd_tls_wrappermode=yes" };
    format!(
        "127.0.0.1:{port} inet n - n - - smtpd\n  -o {tls}\n\
         pickup unix n - n 60 1 pickup\n\
         cleanup unix n - n - 0 cleanup\n\
         qmgr unix n - n 300 1 qmgr\n\
         tlsmgr unix - - n 1000? 1 tlsmgr\n\
         rewrite unix - - n - - trivial-rewrite\n\
         bounce unix - - n - 0 bounce\n\
         defer unix - - n - 0 bounce\n\
         trace unix - - n - 0 bounce\n\
         verify unix - - n - 1 verify\n\
         flush unix n - n 1000? 0 flush\n\
         proxymap unix - - n - - proxymap\n\
         showq unix n - n - - showq\n\
         error unix - - n - - error\n\
         retry unix - - n - - error\n\
         virtual unix - n n - - virtual\n\
         local unix - n n - - local\n\
         anvil unix - - n - 1 anvil\n\
         postlog unix-dgram n - n - 1 postlogd\n"
    )
}
