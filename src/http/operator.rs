//! The operator door: what the command line asks of the daemon. Who is calling comes from the kernel, never from the
//! request. No route here can show a part of a secret, because no answer has a field for one.

mod asked;
mod campaigns;
mod contacts;
mod look;
mod orders;
mod requests;
mod returned;
mod whose;

use super::route::Route;
use super::service::Service;

const BODY_BYTES_MAX: usize = 16 * 1024;

/// The routes of this door.
pub fn routes() -> Vec<Route<Service>> {
    let parts = [
        look::routes(),
        orders::routes(),
        requests::routes(),
        campaigns::routes(),
        contacts::routes(),
        returned::routes(),
        whose::routes(),
    ];
    parts.into_iter().flatten().collect()
}
