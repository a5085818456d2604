//! The same fold as the world's, whatever is forgotten and put aside on the way.

use super::*;
use crate::domain::dice::Dice;
use crate::domain::ids::ApplicationId;
use crate::journal::sample::History;
use crate::journal::world::World;

/// Everything that was handed on, each thing once.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    events: BTreeMap<EventKey, SeenEvent>,
    cases: BTreeMap<ApplicationId, ApplicationId>,
    orders: BTreeMap<u64, (ApplicationId, Issuance)>,
    notices: BTreeMap<NoticeId, (ApplicationId, Notice)>,
    fetches: BTreeMap<(ApplicationId, u32, u32), Fetched>,
    clients: BTreeMap<u64, (Client, u32)>,
    agreements: BTreeMap<AgreementKey, Agreement>,
    campaigns: BTreeMap<CampaignId, Campaign>,
    requests: BTreeMap<u64, Request>,
    twice: usize,
}

impl Settled for Seen {
    fn event(&mut self, event: &SeenEvent) {
        self.twice += usize::from(self.events.insert(event.key.clone(), event.clone()).is_some());
    }
    fn case(&mut self, granted: &ApplicationId, owner: &ApplicationId) {
        self.twice += usize::from(self.cases.insert(granted.clone(), owner.clone()).is_some());
    }
    fn order(&mut self, number: u64, owner: &ApplicationId, issuance: &Issuance) {
        self.twice += usize::from(self.orders.insert(number, (owner.clone(), issuance.clone())).is_some());
    }
    fn notice(&mut self, owner: &ApplicationId, notice: &Notice) {
        self.twice += usize::from(self.notices.insert(notice.id, (owner.clone(), notice.clone())).is_some());
    }
    fn fetch(&mut self, owner: &ApplicationId, version: u32, number: u32, fetched: &Fetched) {
        let place = (owner.clone(), version, number);
        self.twice += usize::from(self.fetches.insert(place, fetched.clone()).is_some());
    }
    fn client(&mut self, number: u64, client: &Client, epoch: u32) {
        let mut client = client.clone();
        // They are handed on apart.
        client.notices.clear();
        self.twice += usize::from(self.clients.insert(number, (client, epoch)).is_some());
    }
    fn agreement(&mut self, agreement: &Agreement) {
        self.twice += usize::from(self.agreements.insert(agreement.key.clone(), agreement.clone()).is_some());
    }
    fn campaign(&mut self, campaign: &Campaign) {
        self.twice += usize::from(self.campaigns.insert(campaign.id, campaign.clone()).is_some());
    }
    fn request(&mut self, number: u64, request: &Request) {
        self.twice += usize::from(self.requests.insert(number, request.clone()).is_some());
    }
}

impl Seen {
    fn of(world: &World) -> Self {
        let mut seen = Self {
            events: world.events().clone(),
            cases: world.cases().clone(),
            agreements: world.agreements().clone(),
            campaigns: world.campaigns().clone(),
            ..Self::default()
        };
        let requested = world.requested().iter().map(|id| world.requests()[id].clone());
        seen.requests = (1..).zip(requested).collect();
        let mut firsts = BTreeMap::new();
        for order in world.orders().values() {
            seen.orders.insert(order.number, (order.application.clone(), order.issuance.clone()));
            let first = firsts.entry(order.application.clone()).or_insert(order.number);
            *first = order.number.min(*first);
        }
        let mut by_age: Vec<_> = firsts.into_iter().map(|(application, first)| (first, application)).collect();
        by_age.sort();
        for (number, (_, application)) in (1..).zip(by_age) {
            let mut client = world.clients()[&application].clone();
            let newest = client.credentials.values().next_back();
            let epoch = newest.map_or(0, |newest| world.deliveries()[&newest.reference].epoch);
            let notices = std::mem::take(&mut client.notices);
            seen.notices.extend(notices.into_iter().map(|(id, notice)| (id, (application.clone(), notice))));
            for credential in client.credentials.values() {
                let fetches = &world.deliveries()[&credential.reference].fetches;
                let place = |number| (application.clone(), credential.version, number);
                seen.fetches.extend((1..).zip(fetches).map(|(number, fetched)| (place(number), fetched.clone())));
            }
            seen.clients.insert(number, (client, epoch));
        }
        seen
    }
}

/// A shelf that counts.
#[derive(Default)]
struct Board {
    things: BTreeMap<(u8, String), Vec<u8>>,
    put: std::sync::Arc<std::sync::atomic::AtomicUsize>,
    room: Option<usize>,
}

impl Shelf for Board {
    fn put(&mut self, what: What, name: &str, value: &[u8]) -> Result<(), ShelfFailed> {
        self.put.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if self.room.is_some_and(|room| self.things.len() >= room) {
            return Err(ShelfFailed("full".to_owned()));
        }
        assert_eq!(self.things.insert((what as u8, name.to_owned()), value.to_vec()), None);
        Ok(())
    }
    fn take(&mut self, what: What, name: &str) -> Result<Option<Vec<u8>>, ShelfFailed> {
        Ok(self.things.remove(&(what as u8, name.to_owned())))
    }
    fn each(&mut self, what: What, show: &mut dyn FnMut(&[u8])) -> Result<(), ShelfFailed> {
        for ((_, _), value) in self.things.iter().filter(|((kind, _), _)| *kind == what as u8) {
            show(value);
        }
        Ok(())
    }
}

fn lasts(history: &History) -> LastEntries {
    let mut last = BTreeMap::new();
    for entry in &history.entries {
        if let Some(application) = entry.subject.application() {
            last.insert(application.clone(), entry.seq);
        }
    }
    let mut lasts = LastEntries::default();
    last.into_values().for_each(|seq| lasts.note(seq));
    lasts
}

fn add_all(stream: &mut Stream<Seen>, history: &History) -> Fit {
    history.entries.iter().try_for_each(|entry| stream.add(entry))
}

#[test]
fn with_much_or_little_room_it_comes_to_what_the_world_comes_to() {
    for seed in 0..12 {
        let history = History::of_length(seed, 600);
        let expected = Seen::of(&history.world);
        for (room, hint) in [(HELD, true), (HELD, false), (4000, true), (4000, false)] {
            let board = Board::default();
            let put = std::sync::Arc::clone(&board.put);
            let lasts = if hint { lasts(&history) } else { LastEntries::default() };
            let mut stream = Stream::with_room(room, Box::new(board), lasts, Box::new(Seen::default()));
            add_all(&mut stream, &history).unwrap();
            assert_eq!((stream.origin(), stream.latest()), (history.world.origin(), history.world.latest()));
            let (seen, open) = stream.finish().unwrap().unwrap();
            assert_eq!(*seen, expected, "seed {seed}, room {room}, hint {hint}");
            assert_eq!(put.load(std::sync::atomic::Ordering::Relaxed) > 20, room == 4000, "the shelf is used");
            let reports: usize = history.world.requests().values().map(|request| request.reports.len()).sum();
            assert!(open.reports.len() >= reports);
        }
    }
}

#[test]
fn whoever_lies_about_the_last_entries_gains_nothing() {
    let (mut refused, dice) = (0, Dice::new(4));
    for seed in 0..40 {
        let history = History::of_length(seed, 120);
        let mut lasts = LastEntries::default();
        for _ in 0..3 {
            lasts.note(dice.roll(history.entries.len()) as u64);
        }
        let mut stream = Stream::new(Box::new(Board::default()), lasts, Box::new(Seen::default()));
        match add_all(&mut stream, &history) {
            Ok(()) => {
                let (seen, _) = stream.finish().unwrap().unwrap();
                assert_eq!(*seen, Seen::of(&history.world));
            }
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 10, "{refused}");
}

/// What it takes and the world does not, it hands on twice, so that the tables cannot hold it.
#[test]
fn what_the_world_refuses_is_refused_or_handed_on_twice() {
    let mut twice = 0;
    for seed in 0..40 {
        let history = History::of_length(seed, 200);
        let dice = Dice::new(seed);
        for _ in 0..40 {
            // An entry of this history once more, at the end.
            let again = &history.entries[dice.roll(history.entries.len())];
            let last = history.entry(again.subject.clone(), again.fact.clone());
            let last = Entry { actor: again.actor.clone(), ..last };
            let world = history.world.clone().apply(&last);
            let mut stream = Stream::new(Box::new(Board::default()), LastEntries::default(), Box::new(Seen::default()));
            add_all(&mut stream, &history).unwrap();
            let Ok(()) = stream.add(&last) else { continue };
            let Ok((seen, open)) = stream.finish().unwrap() else { continue };
            if world.is_ok() {
                continue;
            }
            let events = &history.world.events();
            let conflicts = open.conflicts.iter().any(|(key, body)| events.get(key).is_none_or(|it| it.body != *body));
            let ids: BTreeSet<_> = seen.clients.values().flat_map(|(client, _)| client.keys.values()).collect();
            let given: usize = seen.clients.values().map(|(client, _)| client.keys.len()).sum();
            let versions = || seen.clients.values().flat_map(|(client, _)| client.credentials.values());
            let references: BTreeSet<_> = versions().map(|credential| credential.reference).collect();
            let orders: BTreeSet<_> = seen.orders.values().map(|(_, order)| order.id).collect();
            let campaigns: Vec<_> =
                seen.orders.values().filter_map(|(of, order)| Some((of, order.campaign?))).collect();
            let reissued: BTreeSet<_> = campaigns.iter().collect();
            let double = seen.twice > 0
                || conflicts
                || ids.len() < given
                || references.len() < versions().count()
                || orders.len() < seen.orders.len()
                || reissued.len() < campaigns.len()
                || open.reports.iter().any(|report| seen.notices.contains_key(report))
                || seen.cases.keys().any(|case| seen.clients.values().any(|(client, _)| client.application == *case));
            assert!(double, "{:?} and then {last:?}", world.unwrap_err());
            twice += 1;
        }
    }
    assert!(twice > 20, "{twice}");
}

#[test]
fn a_full_shelf_is_no_fault_of_the_journal() {
    let history = History::of_length(1, 600);
    let board = Board { room: Some(2), ..Board::default() };
    let mut stream = Stream::with_room(4000, Box::new(board), LastEntries::default(), Box::new(Seen::default()));
    assert!(add_all(&mut stream, &history).is_err());
    assert_eq!(stream.failed(), Some(ShelfFailed("full".to_owned())));
}
