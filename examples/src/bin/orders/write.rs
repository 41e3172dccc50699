//! The last stage: batches into the table, each with the position that it leads to.

use std::{path::PathBuf, sync::Arc};

use pipeline_core::prelude::*;

use crate::{
    book::{Entry, book},
    options::By,
    position::Position,
    progress::{Progress, Totals},
    rejects::Rejects,
    store::{self, Claim, Connection, Database, StoreError},
};

/// What a writer is made of.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) database: Database,
    pub(crate) claim: Claim,
    pub(crate) owner: String,
    pub(crate) done: Position,
    pub(crate) by: By,
    pub(crate) rejects: Option<PathBuf>,
    pub(crate) progress: Progress,
}

/// The one who writes, as the position has one owner.
pub(crate) struct Writer {
    database: Box<dyn Connection>,
    input: i64,
    owner: String,
    /// As stored.
    position: Position,
    by: By,
    rejects: Option<Rejects>,
    progress: Progress,
    /// What the attempt before this one would have committed. When a connection breaks in the middle
    /// of a commit, nobody knows whether it has.
    attempt: Option<Attempt>,
}

#[derive(Debug, Clone, Default)]
struct Attempt {
    position: String,
    totals: Totals,
    rejects_length: Option<u64>,
}

pub(crate) async fn open(setup: &Setup) -> Result<Writer, BoxError> {
    let rejects = match &setup.rejects {
        Some(path) => {
            let opened = Rejects::open(path, setup.claim.rejects.as_ref());
            Some(opened.map_err(|error| format!("{}: {error}", path.display()))?)
        }
        None => None,
    };
    Ok(Writer {
        database: store::connect(&setup.database).await?,
        input: setup.claim.input,
        owner: setup.owner.clone(),
        position: setup.done.clone(),
        by: setup.by,
        rejects,
        progress: setup.progress.clone(),
        attempt: None,
    })
}

/// Commits a batch: orders, cancellations, rejected lines and the position, or nothing of it. May be
/// called again with a batch that failed.
#[stage(blocking)]
pub(crate) fn write(
    #[state(init = open(&Setup))] writer: &mut Writer,
    batch: Arc<Vec<Entry>>,
) -> Result<(), StoreError> {
    writer.commit(&batch)
}

impl Writer {
    fn commit(&mut self, batch: &[Entry]) -> Result<(), StoreError> {
        let Writer {
            database,
            owner,
            position,
            rejects,
            progress,
            attempt,
            ..
        } = self;
        let mut next = position.clone();
        for Entry { line, .. } in batch {
            let in_order = self.by == By::Customer || next.low_water().0 == line.number;
            if !in_order || !next.insert(line.number, line.end) {
                let text = format!("line {} is not the next one", line.number); // a bug, and nothing is lost by it
                return Err(StoreError::permanent(text));
            }
        }
        let (stored, after) = (position.to_string(), next.to_string());
        let mut keys: Vec<_> = batch
            .iter()
            .filter_map(|entry| Some(entry.booking.as_ref().ok()?.key()))
            .collect();
        keys.sort_unstable();
        keys.dedup();

        database.transaction(self.input, &keys, &mut |owned_by, position, known| {
            if owned_by != owner {
                let text = "another run has taken over this input";
                return Err(StoreError::permanent(text));
            }
            if attempt
                .as_ref()
                .is_some_and(|attempt| attempt.position == position)
            {
                return Ok(None); // it was committed after all
            }
            if position != stored {
                let text = "the stored position is not the one that this run has stored";
                return Err(StoreError::permanent(text));
            }
            let (mut changes, rejected) = book(batch, known);
            changes.position.clone_from(&after);
            if let Some(file) = rejects.as_mut().filter(|_| !rejected.is_empty()) {
                let length = file.append(&rejected).map_err(StoreError::transient)?;
                changes.rejects_file = Some(length);
            }
            // before the commit: rather twice than never
            rejected.iter().for_each(|reject| progress.rejected(reject));
            *attempt = Some(Attempt {
                position: after.clone(),
                totals: Totals {
                    lines: batch.len() as u64,
                    orders: changes.orders.len() as u64,
                    cancellations: changes.cancellations,
                    rejected: rejected.len() as u64,
                },
                rejects_length: changes.rejects_file.as_ref().map(|(_, length)| *length),
            });
            Ok(Some(changes))
        })?;

        self.position = next;
        let Attempt {
            totals,
            rejects_length,
            ..
        } = self.attempt.take().unwrap_or_default();
        if let Some((file, length)) = self.rejects.as_mut().zip(rejects_length) {
            file.committed(length);
        }
        self.progress.committed(totals, self.position.len());
        Ok(())
    }
}
