//! nginx asks the gateway door; what opens the page behind it was issued through the whole way.

use crate::harness::Harness;
use crate::harness::approval::Approval;
use crate::harness::nginx::Nginx;

#[test]
fn nginx_lets_in_whoever_has_a_working_key_and_nobody_else() {
    let harness = Harness::start();
    let nginx = Nginx::start(&harness);
    let approval = Approval::new().with("/apis", ["population-register"].as_slice());
    let keys = harness.issue(&approval);
    let pair = &keys.pairs["apigw"];

    let (status, answer) = nginx.get("/population-register/", Some((&pair.client_id, &pair.secret)));
    assert!(status == 200 && answer.ends_with("guests"), "{answer}");
    let (status, answer) = nginx.get("/population-register/", None);
    assert!(status == 401 && !answer.contains("guests"), "{answer}");
    assert!(answer.to_lowercase().contains("www-authenticate: basic"), "{answer}");
    let other = &keys.pairs["oauth2"];
    let (status, _) = nginx.get("/population-register/", Some((&pair.client_id, &other.secret)));
    assert_eq!(status, 401, "the secret of another pair");
    assert_eq!(nginx.status("/sandbox/", &pair.client_id, &pair.secret), 403, "an API that was not granted");

    harness.run(&["revoke", approval.application(), "--reason", "Ended"]).expect_exit(0);
    assert_eq!(nginx.status("/population-register/", &pair.client_id, &pair.secret), 401);
}
