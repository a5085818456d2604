//! The suite over SQLite, with SQLite's ways of being sabotaged.

use std::fs;
use std::path::Path;

use rusqlite::Connection;

use super::{Instance, Kind, campaigns, contacts, faults, fold, requests, suite};
use crate::domain::ids::ApplicationId;
use crate::domain::request::RequestId;
use crate::store::sqlite::{Reader, SqliteWriter, create, open};

pub(super) struct Sqlite;

impl Kind for Sqlite {
    type Backend = SqliteWriter;
    type Reading = Reader;

    fn create(state: &Path, instance: Instance) {
        create(state, instance).unwrap();
    }

    fn open(state: &Path) -> (SqliteWriter, Reader) {
        open(state).unwrap()
    }

    fn refuse_entries_of(state: &Path, application: &ApplicationId) {
        let trigger = format!(
            "CREATE TRIGGER sabotage BEFORE INSERT ON entry WHEN NEW.application = '{application}' \
             BEGIN SELECT RAISE(ABORT, 'sabotage'); END"
        );
        beside(state).execute_batch(&trigger).unwrap();
    }

    fn refuse_nothing(state: &Path) {
        beside(state).execute_batch("DROP TRIGGER sabotage").unwrap();
    }

    fn limit(backend: &SqliteWriter, pages: Option<u32>) {
        let sql = backend.connection();
        let size: u32 = sql.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        let limit = pages.map_or(u32::MAX - 1, |pages| size + pages);
        sql.pragma_update_and_check(None, "max_page_count", limit, |_| Ok(())).unwrap();
    }

    fn hold(state: &Path) -> Box<dyn Send> {
        let sql = beside(state);
        sql.execute_batch("BEGIN EXCLUSIVE").unwrap();
        Box::new(sql)
    }

    fn swap_what_is_asked(state: &Path, request: RequestId) {
        let statement = "UPDATE request SET content = replace(content, '{\"do\":\"revoke\"}', \
                         '{\"do\":\"reissue-compromised\"}') WHERE id = ?1 AND content LIKE '%revoke%'";
        assert_eq!(beside(state).execute(statement, [request.to_string()]).unwrap(), 1);
    }

    fn replace(state: &Path) {
        let path = state.join("tallyd.db");
        fs::rename(&path, state.join("taken-away")).unwrap();
        fs::copy(state.join("taken-away"), &path).unwrap();
    }
}

fn beside(state: &Path) -> Connection {
    Connection::open(state.join("tallyd.db")).unwrap()
}

macro_rules! conforms {
    ($($part:ident::$test:ident),+ $(,)?) => {
        $(
            #[test]
            fn $test() {
                $part::$test::<Sqlite>();
            }
        )+
    };
}

conforms!(
    suite::what_was_acknowledged_is_there_after_a_restart,
    suite::entries_are_numbered_in_order_timed_without_steps_back_and_signed_for,
    suite::an_event_is_accepted_once,
    suite::a_refusal_leaves_no_trace,
    suite::a_later_command_of_a_batch_sees_an_earlier_one,
    suite::of_a_thousand_rivals_exactly_one_wins,
    faults::one_refused_entry_fails_only_its_command_and_succeeds_after_repair,
    faults::a_full_disk_is_told_and_passes_by_itself,
    faults::a_locked_database_turns_away_and_a_full_queue_at_once,
    faults::a_fatal_fault_stops_the_store_and_is_told_once,
    faults::a_fatal_fault_of_the_reader_is_told_and_a_damaged_row_is_not,
    faults::a_replaced_database_is_noticed,
    faults::a_decision_that_contradicts_the_state_is_turned_away_alone,
    fold::shares_leave_the_tables_and_the_files,
    faults::two_active_or_two_on_their_way_are_impossible,
    suite::gateways_see_a_commit_before_its_answer_is_out,
    faults::an_older_database_is_quarantined,
    faults::another_signing_key_is_refused,
    suite::gateways_see_an_end_when_it_comes_and_a_grant_at_once,
    suite::questions_are_answered_from_the_tables,
    suite::a_mail_and_a_secret_are_known_for_ever,
    fold::the_tables_are_the_fold_of_the_journal,
    requests::requests_are_kept_found_and_closed,
    requests::nobody_is_his_own_second_person,
    requests::a_request_that_was_swapped_is_damage,
    campaigns::a_campaign_is_kept_and_reaches_a_client_once,
    campaigns::a_second_order_of_a_client_in_one_campaign_is_impossible,
    campaigns::single_orders_and_those_of_campaigns_wait_in_queues_of_their_own,
    campaigns::candidates_are_at_least_those_that_match,
    contacts::addresses_leave_the_tables_and_the_files,
);
