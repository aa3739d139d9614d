//! Accounts between which amounts are moved: whoever reads all of them at once sees the same sum, always.
//!
//! A balance is a register whose value begins with the number; what follows after a `/` makes values different
//! from each other, so that the checkers of registers can judge the accounts one by one ([`crate::Parts`]), and
//! find a transfer that was acknowledged and lost. This checker finds one that was done by half.

use crate::event::{Call, Outcome, Seen};
use crate::history::History;
use crate::operation::Operation;
use crate::step::Found;
use crate::verdict::{Findings, Verdict};

/// What is known of all banks of a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bank<'a> {
    /// Keys of transactions and scans that begin with this are about a bank.
    pub prefix: &'a str,
    /// How many accounts a bank has.
    pub accounts: usize,
    /// What they have together.
    pub total: i64,
}

/// Judges the reads of all accounts at once: transactions that only read, and scans that the database does at one
/// moment (which it must have promised). A bank may not exist yet; then it has no account at all.
pub fn bank(history: &History, bank: Bank<'_>) -> Verdict {
    let mut findings = Findings::new("bank");
    for operation in history.operations() {
        if !operation.key.starts_with(bank.prefix) {
            continue;
        }
        let Some(accounts) = accounts(operation, bank.accounts) else {
            continue;
        };
        findings.judged(1);
        if let Some(what) = judge(&accounts, bank) {
            let message = format!("{what}: {operation}");
            findings.wrong(&operation.key, message, Some(operation.invoked.index));
        }
    }
    findings.verdict()
}

/// What was found of each account, if all were read.
fn accounts(operation: &Operation, count: usize) -> Option<Vec<Option<&Seen>>> {
    match (&operation.call, &operation.outcome) {
        (Call::Txn { .. }, Outcome::Done { found, .. }) => {
            let read: Option<Vec<_>> = found
                .iter()
                .map(|found| match found {
                    Found::Value(seen) => Some(seen.as_ref()),
                    Found::Nothing | Found::Elements(_) => None,
                })
                .collect();
            read.filter(|read| read.len() == count)
        }
        (Call::Scan { keys, .. }, Outcome::Rows(rows)) if keys.len() == count => {
            let row = |key: &String| rows.iter().find(|(name, _)| name == key).map(|(_, seen)| seen);
            Some(keys.iter().map(row).collect())
        }
        _ => None,
    }
}

fn judge(accounts: &[Option<&Seen>], bank: Bank<'_>) -> Option<String> {
    let existing: Vec<&Seen> = accounts.iter().filter_map(|seen| *seen).collect();
    if existing.is_empty() {
        return None;
    }
    if existing.len() < bank.accounts {
        return Some(format!("{} of {} accounts exist", existing.len(), bank.accounts));
    }
    let mut sum = 0_i128;
    for seen in existing {
        let number = seen.value.split('/').next().unwrap_or_default();
        match number.parse::<i64>() {
            Ok(number) => sum += i128::from(number),
            Err(_) => return Some(format!("{:?} is no balance", seen.value)),
        }
    }
    let total = bank.total;
    (sum != i128::from(total)).then(|| format!("the accounts have {sum} together, not {total}"))
}
