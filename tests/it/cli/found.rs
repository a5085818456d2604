//! Transcripts of `whose` and `bounce`.

use super::told_with;
use crate::harness::Harness;
use crate::harness::approval::Approval;

#[test]
fn whose_tells_of_each_thing_where_it_stands() {
    let harness = Harness::start();
    let approval = Approval::new().with("/application_id", "A-2026-1");
    let keys = harness.issue(&approval);
    let (client_id, secret) = (&keys.only().client_id, &keys.only().secret);
    let text = format!("{client_id}:{secret}\nex-prod-abcdefghijklmnopqrst");
    insta::assert_snapshot!(told_with(&harness, &["whose"], &text), @r"
     FOUND                         APPLICATION  ENVIRONMENT  ORGANISATION  CLIENT_ID                            VERSION  STATE   SINCE
     secret 1 (ex_test_…)          A-2026-1     test         Exempel AB    oauth2 ex-test-xxxxxxxxxxxxxxxxxxxx  1        active  YYYY-MM-DD HH:MM:SS
     ex-test-xxxxxxxxxxxxxxxxxxxx  A-2026-1     test         Exempel AB    oauth2 ex-test-xxxxxxxxxxxxxxxxxxxx  1        active  YYYY-MM-DD HH:MM:SS
    ! ex-prod-abcdefghijklmnopqrst is well formed, and no client of this agency has it.
    exit 0
    ");
    insta::assert_snapshot!(told_with(&harness, &["whose", "--json"], secret), @r#"
    [{"found":"client_secret","of":{"application_id":"A-2026-1","client_id":"ex-test-xxxxxxxxxxxxxxxxxxxx","environment":"test","label":"oauth2","organisation":{"name":"Exempel AB","number":"5590000005"},"software":"Handläggaren","verifies":true,"version":{"active_since":"YYYY-MM-DDTHH:MM:SS.sssZ","fetches":1,"generated":"YYYY-MM-DDTHH:MM:SS.sssZ","reference":"REFERENCE","refused_requests":0,"state":"active","version":1,"window_ends":"YYYY-MM-DDTHH:MM:SS.sssZ","wrong_proofs":0}}}]
    exit 0
    "#);
    insta::assert_snapshot!(told_with(&harness, &["whose"], &secret[..40]), @r"
    ! Something begins like a client_secret (ex_test_…) and is not whole: it was cut off or mistyped, so nobody can say whose it is. Look for the rest of it.
    ! None of it is known here.
    exit 1
    ");
    insta::assert_snapshot!(told_with(&harness, &["whose"], "nothing"), @r"
    ! cannot find a client_secret or a client_id in standard input: there is none
    ! hint: a client_secret looks like ex_prod_ and 49 letters and digits, a client_id like ex-prod- and 20
    exit 1
    ");
    insta::assert_snapshot!(told_with(&harness, &["whose", "--revoke", "--reason", "Found in a log"], secret), @r"
     FOUND                 APPLICATION  ENVIRONMENT  ORGANISATION  CLIENT_ID                            VERSION  STATE   SINCE
     secret 1 (ex_test_…)  A-2026-1     test         Exempel AB    oauth2 ex-test-xxxxxxxxxxxxxxxxxxxx  1        active  YYYY-MM-DD HH:MM:SS
    ! A-2026-1: 1 credential was ended. None of the client verifies now.
    exit 0
    ");
    insta::assert_snapshot!(told_with(&harness, &["whose", "--revoke", "--reason", "Again"], secret), @r"
     FOUND                 APPLICATION  ENVIRONMENT  ORGANISATION  CLIENT_ID                            VERSION  STATE            SINCE
     secret 1 (ex_test_…)  A-2026-1     test         Exempel AB    oauth2 ex-test-xxxxxxxxxxxxxxxxxxxx  1        ended (revoked)  YYYY-MM-DD HH:MM:SS
    ! There is nothing to end: no secret that was found verifies, or may yet.
    exit 0
    ");
    insta::assert_snapshot!(told_with(&harness, &["whose", "--revoke"], secret), @r"
    ! error: the following required arguments were not provided:
    !   --reason <REASON>
    !
    ! Usage: tallyd whose --revoke --reason <REASON> --config <FILE>
    !
    ! For more information, try '--help'.
    exit 2
    ");
}

#[test]
fn bounce_says_what_became_of_the_delivery_or_why_it_is_to_be_tried_again() {
    let mut harness = Harness::start();
    let approval = Approval::new();
    harness.approve(&approval);
    harness.part_one(approval.technical(), 0);
    let id = harness.entries("credential.generated")[0]["data"]["message_id"].as_str().unwrap().to_owned();
    let mail = format!(
        "Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n\
         Reporting-MTA: dns; x\r\n\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n--b\r\nContent-Type: text/rfc822-headers\r\n\r\n\
         Message-ID: <{id}@myndigheten.example>\r\n\r\n--b--\r\n"
    );
    insta::assert_snapshot!(told_with(&harness, &["bounce"], "Subject: hello\r\n\r\n"), @r"
    ! This mail changes nothing: it is not a delivery status notification.
    exit 0
    ");
    insta::assert_snapshot!(told_with(&harness, &["bounce"], &mail), @r"
    ! The delivery is withdrawn. Correct the address, and re-issue.
    exit 0
    ");
    insta::assert_snapshot!(told_with(&harness, &["bounce", "--json"], &mail), @r#"
    {"outcome":"over"}
    exit 0
    "#);
    harness.stop();
    insta::assert_snapshot!(told_with(&harness, &["bounce"], &mail).replace(&id, "UUID"), @r"
    ! cannot tell of the returned mail UUID: DIR/run/operator.sock: cannot connect: Connection refused (os error 111)
    ! hint: the mail system keeps the mail and tries again; does the daemon run, and is this account in mail.bounce_users of its configuration?
    exit 75
    ");
}
