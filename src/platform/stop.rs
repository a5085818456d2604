//! How every listener and connection learns that the daemon stops.

use tokio::sync::watch;

/// Stops whatever holds a [`Stop`] of the same pair: when told to, or when dropped.
#[derive(Debug)]
pub struct Stopper(watch::Sender<bool>);

/// Hears of the stop.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<bool>);

/// A pair; the hearing half is cloned for each that must hear.
pub fn stop_pair() -> (Stopper, Stop) {
    let (sender, receiver) = watch::channel(false);
    (Stopper(sender), Stop(receiver))
}

impl Stopper {
    /// Begins the stop. It cannot be taken back.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Whether it has begun.
    pub fn has_begun(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }

    /// Returns once the stop has begun.
    pub async fn begun(&mut self) {
        // An error means that the stopper was dropped, which is a stop as well.
        let _ = self.0.wait_for(|stopped| *stopped).await;
    }
}
