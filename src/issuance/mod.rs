//! The use cases, one file each: what an approval, a fetch, a proof, an order or the passing of time does.
//!
//! Each file has the command with its pure decision. [`desk::Desk`] is where the doors and workers come to: it draws
//! ids, submits the command, and only with the proof of the commit in hand lets anything leave.

pub mod agreement;
pub mod approve;
mod aside;
pub mod bounce;
pub mod campaign;
pub mod campaign_pages;
pub mod collect;
pub mod confirm;
pub mod contacts;
pub mod contacts_change;
pub mod contacts_forget;
pub mod deliver;
pub mod desk;
pub mod errand;
pub mod expire;
pub mod generate;
pub mod lost;
pub mod notify;
pub mod order;
pub mod post;
pub mod pulse;
pub mod recipient;
pub mod reissue;
pub mod request;
pub mod request_time;
pub mod request_word;
pub mod retry;
pub mod reuse;
pub mod revoke;
pub mod service;
pub mod settle;

#[cfg(test)]
mod life;
#[cfg(test)]
mod model;
#[cfg(test)]
mod on_paper;
#[cfg(test)]
mod states_table;
