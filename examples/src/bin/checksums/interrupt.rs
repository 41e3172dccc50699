//! Ctrl-C, beside what the run does about it by itself.
//!
//! The run drains at the first Ctrl-C and is cancelled at the second one, or when the drain has
//! taken too long. Then only a file that hangs can keep it: a blocking thread cannot be cancelled.

use std::{cell::Cell, future::pending, time::Duration};

use tokio::{signal, time::sleep};

use crate::progress::Progress;

/// How long the files already taken may go on after the first Ctrl-C.
pub(crate) const DRAIN: Duration = Duration::from_secs(10);
/// How long a cancelled run may take to end by itself.
const GRACE: Duration = Duration::from_millis(200);

/// Ready when the run has been cancelled and is still there: leave it. Tells `interrupted` and the
/// user of the first Ctrl-C.
pub(crate) async fn twice(interrupted: &Cell<bool>, progress: &Progress) {
    if signal::ctrl_c().await.is_err() {
        return pending().await; // no signals here
    }
    interrupted.set(true);
    tokio::select! {
        biased; // listens for the second one before it speaks of it
        _ = signal::ctrl_c() => {}
        () = async {
            progress.say("interrupted: finishing the files already taken; again to stop at once");
            sleep(DRAIN).await;
        } => {}
    }
    sleep(GRACE).await;
}
