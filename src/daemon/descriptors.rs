//! How many connections all doors together may hold, so that strangers never take the last descriptor: what the store,
//! the relay and the operator need stays free (FAULTS, finding 7).

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::refused::Refused;

/// Kept for files, the runtime and operators. A daemon at rest has about 30 descriptors open.
const KEPT: usize = 64;

/// The fewest connections that a door is of use with.
const DOOR_MIN: usize = 8;

/// How many connections strangers may hold, with so many sessions at the relay. Raises the process's limit as far as it
/// may be raised: a shell often gives 1,024 and allows many more.
pub(super) fn for_connections(sessions: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    // Where it cannot be raised, what there is must do.
    let _ = setrlimit(Resource::Nofile, raised);
    let descriptors = getrlimit(Resource::Nofile).current.and_then(|count| usize::try_from(count).ok());
    descriptors.unwrap_or(usize::MAX).saturating_sub(KEPT + sessions)
}

/// Shrinks what the doors may hold in equal measure, until all of it fits.
///
/// # Errors
/// There is so little room that a door would be of no use.
pub(super) fn share_out(room: usize, doors: &mut [&mut usize]) -> Result<(), Refused> {
    let asked = doors.iter().map(|door| **door).fold(0, usize::saturating_add);
    if asked <= room {
        return Ok(());
    }
    for door in doors.iter_mut() {
        // Rounded down, so that the sum fits.
        let share = usize::try_from(**door as u128 * room as u128 / asked as u128).unwrap_or(0);
        if share < DOOR_MIN.min(**door) {
            let hint = "raise LimitNOFILE= of the service (ulimit -n), or lower connections in [limits]";
            let cause = format!("{room} connections in all are left for {asked} configured ones");
            return Err(Refused::failed("open the doors with", "this limit of open files", cause, hint));
        }
        **door = share;
    }
    tracing::info!(
        room,
        asked,
        "the limit of open files is too low for the configured connections; every door takes fewer"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared(room: usize, mut doors: Vec<usize>) -> Option<Vec<usize>> {
        share_out(room, &mut doors.iter_mut().collect::<Vec<_>>()).ok()?;
        Some(doors)
    }

    #[test]
    fn what_fits_is_left_and_what_does_not_is_shrunk_in_equal_measure() {
        assert_eq!(shared(100, vec![60, 40]), Some(vec![60, 40]));
        assert_eq!(shared(100, vec![4096, 4096, 2048]), Some(vec![40, 40, 20]));
        assert_eq!(shared(usize::MAX, vec![usize::MAX, 1]), Some(vec![usize::MAX, 1]));
        assert_eq!(shared(10, vec![4096, 4096]), None);
        assert_eq!(shared(0, vec![1]), None);
    }
}
