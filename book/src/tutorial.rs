//! What the tutorial's program talks to: lines of payments, a service that knows exchange rates, a database. All of them
//! are stand-ins, so that its snippets run anywhere.

#![expect(
    clippy::needless_pass_by_value,
    reason = "stages take their items by value"
)]

use std::{
    error::Error,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::time::sleep;

// ANCHOR: payment
/// A line of the file: `ann usd 1200`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// Whose it is.
    pub account: String,
    /// Of the amount.
    pub currency: String,
    /// The amount, in hundredths.
    pub cents: i64,
}

/// Reads a line.
///
/// # Errors
///
/// Says what is wrong with it.
pub fn parse(line: String) -> Result<Payment, Box<dyn Error + Send + Sync>> {
    let mut words = line.split(' ').map(str::to_owned);
    Ok(Payment {
        account: words
            .next()
            .filter(|name| !name.is_empty())
            .ok_or("no account")?,
        currency: words.next().ok_or("no currency")?,
        cents: words.next().ok_or("no amount")?.parse()?,
    })
}
// ANCHOR_END: payment

// ANCHOR: rates
/// Why the service did not convert a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RateError {
    /// It has too much to do. It may have less in a moment.
    Busy,
    /// It does not know that currency, and never will.
    Unknown(String),
}

/// Asks the service. It takes 20 ms, for gold (`xau`) 2 s, and is busy each second time when it is
/// asked for francs (`chf`).
///
/// # Errors
///
/// See [`RateError`].
pub async fn to_euro(payment: Payment) -> Result<Payment, RateError> {
    static FRANCS: AtomicU32 = AtomicU32::new(0);
    sleep(Duration::from_millis(if payment.currency == "xau" {
        2000
    } else {
        20
    }))
    .await;
    let rate = match payment.currency.as_str() {
        "eur" => 100,
        "usd" => 87,
        "xau" => 350_000,
        "chf" if FRANCS.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) => {
            return Err(RateError::Busy);
        }
        "chf" => 107,
        other => return Err(RateError::Unknown(other.to_owned())),
    };
    Ok(Payment {
        currency: "eur".to_owned(),
        cents: payment.cents * rate / 100,
        ..payment
    })
}
// ANCHOR_END: rates

impl fmt::Display for RateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RateError::Busy => f.write_str("the service is busy"),
            RateError::Unknown(currency) => write!(f, "no currency `{currency}`"),
        }
    }
}

impl Error for RateError {}

// ANCHOR: database
/// The database: clones are the same one.
#[derive(Debug, Clone, Default)]
pub struct Database(Arc<Mutex<Vec<Payment>>>);

impl Database {
    /// Inserts rows, all or none. It takes 10 ms, however many they are.
    ///
    /// # Errors
    ///
    /// If one of them has an amount of 0.
    pub async fn insert(&self, rows: Vec<Payment>) -> Result<usize, Box<dyn Error + Send + Sync>> {
        sleep(Duration::from_millis(10)).await;
        if rows.iter().any(|row| row.cents == 0) {
            return Err("an amount must not be 0".into());
        }
        let count = rows.len();
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(rows);
        Ok(count)
    }

    /// What is in it.
    #[must_use]
    pub fn rows(&self) -> Vec<Payment> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
// ANCHOR_END: database

// ANCHOR: lines
/// So many lines of 7 accounts. Each hundredth is a payment in gold.
#[must_use]
pub fn lines(count: usize) -> Vec<String> {
    const ACCOUNTS: [&str; 7] = ["ann", "bob", "cid", "dora", "eve", "finn", "gil"];
    (0..count)
        .map(|n| {
            let currency = if n % 100 == 0 { "xau" } else { "usd" };
            format!("{} {currency} {}", ACCOUNTS[n % 7], n + 1)
        })
        .collect()
}
// ANCHOR_END: lines
