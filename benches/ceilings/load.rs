//! Load on a door: so many clients at once, each asking as soon as it was answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use rustls::ClientConfig;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use super::client::Kept;
use super::figure::rate;

/// Who asks what, over which connections.
pub(crate) struct Load {
    pub(crate) port: u16,
    pub(crate) clients: usize,
    /// The status of every answer.
    pub(crate) expected: u16,
}

impl Load {
    /// Sends every request once, over kept connections. Requests a second; connecting is not counted.
    pub(crate) fn all_over_kept(
        &self,
        runtime: &Runtime,
        tls: &Arc<ClientConfig>,
        requests: &Arc<Vec<Vec<u8>>>,
    ) -> Result<f64> {
        runtime.block_on(async {
            let connections = self.connect(tls).await?;
            let (next, expected) = (Arc::new(AtomicUsize::new(0)), self.expected);
            let began = Instant::now();
            let mut tasks = JoinSet::new();
            for mut connection in connections {
                let (next, requests) = (Arc::clone(&next), Arc::clone(requests));
                tasks.spawn(async move {
                    while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
                        connection.ask(request, expected).await?;
                    }
                    Ok(0)
                });
            }
            sum(tasks).await?;
            Ok(rate(requests.len(), began))
        })
    }

    /// Sends requests over kept connections for `time`, client `n` always the `n`th. Requests a second.
    pub(crate) fn repeat_over_kept(
        &self,
        runtime: &Runtime,
        tls: &Arc<ClientConfig>,
        requests: &[Vec<u8>],
        time: Duration,
    ) -> Result<f64> {
        runtime.block_on(async {
            let connections = self.connect(tls).await?;
            let (expected, began) = (self.expected, Instant::now());
            let mut tasks = JoinSet::new();
            for (mut connection, request) in connections.into_iter().zip(requests.iter().cycle()) {
                let request = request.clone();
                tasks.spawn(async move {
                    let mut answered = 0;
                    while began.elapsed() < time {
                        connection.ask(&request, expected).await?;
                        answered += 1;
                    }
                    Ok(answered)
                });
            }
            Ok(rate(sum(tasks).await?, began))
        })
    }

    /// Sends every request once, each over a connection of its own after a full handshake. Requests a second.
    pub(crate) fn all_over_new(
        &self,
        runtime: &Runtime,
        requests: &Arc<Vec<(Arc<ClientConfig>, Vec<u8>)>>,
    ) -> Result<f64> {
        runtime.block_on(async {
            let (next, port, expected) = (Arc::new(AtomicUsize::new(0)), self.port, self.expected);
            let began = Instant::now();
            let mut tasks = JoinSet::new();
            for _ in 0..self.clients {
                let (next, requests) = (Arc::clone(&next), Arc::clone(requests));
                tasks.spawn(async move {
                    while let Some((tls, request)) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
                        Kept::connect(port, Arc::clone(tls)).await?.ask(request, expected).await?;
                    }
                    Ok(0)
                });
            }
            sum(tasks).await?;
            Ok(rate(requests.len(), began))
        })
    }

    async fn connect(&self, tls: &Arc<ClientConfig>) -> Result<Vec<Kept>> {
        let mut connections = Vec::with_capacity(self.clients);
        for _ in 0..self.clients {
            connections.push(Kept::connect(self.port, Arc::clone(tls)).await?);
        }
        Ok(connections)
    }
}

/// What the clients answered in all.
async fn sum(mut tasks: JoinSet<Result<usize>>) -> Result<usize> {
    let mut sum = 0;
    while let Some(ended) = tasks.join_next().await {
        sum += ended??;
    }
    Ok(sum)
}
