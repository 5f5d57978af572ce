//! The passes after the scan: suspects are read again by key, and what stays open again and
//! again, until it is decided or patience runs out.

use std::sync::Arc;

use mapping::{key::CanonicalKey, position::Lsn};
use tokio::{sync::mpsc, task::JoinSet, time::Instant};
use uuid::Uuid;

use crate::{
    Error, Event, Settings,
    again::{Again, Candidate, known_keys},
    decide::{Decision, LegacySeen, Proof},
    findings::{Findings, describe},
    legacy_scan::Scan,
    link::{Link, Passed},
    sample::Draw,
};

/// Candidates on their way from Postgres.
const CHANNEL_IDS: usize = 1_000;

/// The passes after the scan.
pub(crate) struct Rest {
    scan: Arc<Scan>,
    settings: Settings,
    pub(crate) findings: Vec<Findings>,
    /// Still to be decided.
    left: Vec<Candidate>,
    /// The scan's S.
    low: Lsn,
    /// The last pass that read something.
    pub(crate) passes: u32,
    /// What the first pass rested on.
    pub(crate) first: Option<Passed>,
}

impl Rest {
    pub(crate) fn new(scan: &Arc<Scan>, settings: Settings, low: Option<Lsn>) -> Self {
        let findings = scan.subjects.all.iter().map(|_| Findings::default()).collect();
        Self {
            scan: Arc::clone(scan),
            settings,
            findings,
            left: Vec::new(),
            low: low.unwrap_or(Lsn::ZERO),
            passes: 1,
            first: None,
        }
    }

    /// Pass 2: every row of a bucket that is not proven equal, in batches of bounded size.
    pub(crate) async fn read_suspects(&mut self, link: &mut Link) -> Result<(), Error> {
        let mut batch = Vec::new();
        for index in 0..self.scan.subjects.all.len() {
            let (keys, place) = {
                let tally = self.scan.tally(index);
                (tally.counted.keys.clone(), (tally.digest.mask(), tally.digest.suspects()))
            };
            let known = known_keys(&keys);
            let candidate = |key, id| Candidate { subject: index, key, id, last: None, seen: None };
            for key in &known {
                self.push(link, &mut batch, candidate(Some(key.clone()), None)).await?;
            }
            if place.1.is_empty() {
                continue;
            }
            let mut ids = self.suspects(link, index, place);
            while let Some((id, key)) = ids.next().await? {
                if key.as_ref().is_none_or(|key| !known.contains(key)) {
                    self.push(link, &mut batch, candidate(key, Some(id))).await?;
                }
            }
        }
        self.pass(link, batch, 2).await
    }

    /// Pass 2 of a sample: rows by keys that the legacy side numbered, and by ids whose random end
    /// was drawn. Both ways, so that a row that only one side has can be met.
    pub(crate) async fn read_sample(&mut self, link: &mut Link, share: u32) -> Result<(), Error> {
        let mut batch = Vec::new();
        let draw = Draw::new(share);
        for index in 0..self.scan.subjects.all.len() {
            let candidate = |key, id| Candidate { subject: index, key, id, last: None, seen: None };
            let keys = draw.keys(&self.scan, link, index).await?;
            let known = known_keys(&keys);
            for key in &known {
                self.push(link, &mut batch, candidate(Some(key.clone()), None)).await?;
            }
            let mut ids = self.suspects(link, index, draw.buckets());
            while let Some((id, key)) = ids.next().await? {
                if key.as_ref().is_none_or(|key| !known.contains(key)) {
                    self.push(link, &mut batch, candidate(key, Some(id))).await?;
                }
            }
        }
        self.pass(link, batch, 2).await
    }

    /// Rows that were looked at.
    pub(crate) fn looked_at(&self) -> u64 {
        let of = |one: &Findings| one.present() + one.extra + one.extra_in_flight;
        self.findings.iter().map(of).sum()
    }

    fn suspects(&self, link: &Link, index: usize, place: (u32, Vec<u32>)) -> Suspects {
        let subject = self.scan.subjects.get(index);
        let (sender, receiver) = mpsc::channel(CHANNEL_IDS);
        let (target, entity, share) = (Arc::clone(&link.target), subject.entity, subject.share());
        let mut task = JoinSet::new();
        task.spawn(async move {
            let found = target.ids_in_buckets(entity, share, (place.0, &place.1), sender).await;
            found.map_err(Error::target("looking for suspect rows"))
        });
        Suspects { receiver, task }
    }

    async fn push(
        &mut self,
        link: &mut Link,
        batch: &mut Vec<Candidate>,
        candidate: Candidate,
    ) -> Result<(), Error> {
        batch.push(candidate);
        if batch.len() >= self.settings.candidates_max.max(1) {
            self.pass(link, std::mem::take(batch), 2).await?;
        }
        Ok(())
    }

    /// Reads what is left again and again, until it is decided or patience runs out.
    pub(crate) async fn decide_all(&mut self, link: &mut Link) -> Result<(), Error> {
        let deadline = Instant::now() + self.settings.patience;
        let mut number = 2;
        while !self.left.is_empty() && Instant::now() < deadline && !link.is_stalled() {
            tokio::select! {
                () = tokio::time::sleep(self.settings.pause) => {}
                () = self.scan.watch.stop.cancelled() => return Err(Error::Cancelled),
            }
            number += 1;
            let mut left = std::mem::take(&mut self.left);
            while !left.is_empty() {
                let rest = left.split_off(left.len().min(self.settings.candidates_max.max(1)));
                self.pass(link, std::mem::replace(&mut left, rest), number).await?;
            }
        }
        self.give_up();
        Ok(())
    }

    async fn pass(
        &mut self,
        link: &mut Link,
        batch: Vec<Candidate>,
        number: u32,
    ) -> Result<(), Error> {
        if batch.is_empty() {
            return Ok(());
        }
        self.passes = number;
        let mut batch = batch;
        while !batch.is_empty() {
            let rows = u64::try_from(batch.len()).unwrap_or(u64::MAX);
            self.scan.watch.tell(Event::Pass { pass: number, rows });
            let mut again = Again::new(&self.scan, batch);
            let passed = link.pass(&mut again).await?;
            self.first.get_or_insert(passed);
            self.judge(&again, passed)?;
            batch = again.postponed;
        }
        Ok(())
    }

    fn judge(&mut self, again: &Again, passed: Passed) -> Result<(), Error> {
        let low = match passed.proof {
            Proof::Fence { low, .. } => Some(low),
            Proof::Twice => None,
        };
        let (scan, limit) = (Arc::clone(&self.scan), self.settings.differences_max);
        again.judge(passed.proof, |judged| {
            let Some(findings) = self.findings.get_mut(judged.candidate.subject) else {
                return Ok(());
            };
            let position = judged.target.and_then(|row| row.position);
            let is_later = position.is_some_and(|position| position.lsn() > self.low);
            findings.movers += u64::from(is_later);
            match judged.decision {
                Decision::InFlight => {
                    let last = Some(judged.fingerprint);
                    let seen = Some(judged.legacy);
                    self.left.push(Candidate { last, seen, ..judged.candidate.clone() });
                }
                Decision::Different(kind) => {
                    findings.count(judged.legacy, judged.decision);
                    let found = describe(&scan, &judged, (kind, low))?;
                    findings.keep(found, (limit, self.settings.repairs_max));
                }
                Decision::Agree | Decision::Quarantined | Decision::Discarded => {
                    findings.count(judged.legacy, judged.decision);
                }
            }
            Ok(())
        })
    }

    /// What is left stays undecided.
    fn give_up(&mut self) {
        for candidate in self.left.drain(..) {
            if let Some(findings) = self.findings.get_mut(candidate.subject) {
                let seen = candidate.seen.unwrap_or(LegacySeen::Row);
                findings.count(seen, Decision::InFlight);
                findings.movers += 1;
            }
        }
    }
}

/// Suspect ids as they come.
struct Suspects {
    receiver: mpsc::Receiver<(Uuid, Option<CanonicalKey>)>,
    task: JoinSet<Result<(), Error>>,
}

impl Suspects {
    async fn next(&mut self) -> Result<Option<(Uuid, Option<CanonicalKey>)>, Error> {
        if let Some(next) = self.receiver.recv().await {
            return Ok(Some(next));
        }
        match self.task.join_next().await {
            None => Ok(None),
            Some(Ok(result)) => result.map(|()| None),
            Some(Err(_)) => Err(Error::Task { what: "looking for suspect rows".to_owned() }),
        }
    }
}
