//! Weights: shares of 100 % in hundredths of a percent. Sums are exact: what is rounded is rounded by largest
//! remainder, so that shares always add up to 100.00 or, where nobody has any, to 0.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A share in hundredths of a percent: 0 to 10,000. Displays, and is stored, as `95%` or `0.05%`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Weight(u16);

/// Why a text is not a weight.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WeightError {
    /// Not a number and a percent sign.
    #[error(
        "`{0}` is not a percentage: expected a number from 0 to 100 and a percent sign, like `5%` or `0.05%`"
    )]
    NotAPercentage(String),
    /// More than two decimals.
    #[error("`{0}` has more than two decimals: the smallest step is `0.01%`")]
    TooFine(String),
    /// Past 100 %.
    #[error("`{0}` is more than `100%`")]
    TooMuch(String),
}

impl Weight {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// Everything.
    pub const FULL: Self = Self(10_000);

    /// From hundredths of a percent; `None` past 10,000.
    pub fn from_hundredths(hundredths: u16) -> Option<Self> {
        (hundredths <= 10_000).then_some(Self(hundredths))
    }

    /// Hundredths of a percent, 0 to 10,000.
    pub fn hundredths(self) -> u16 {
        self.0
    }

    /// The share as a number of percent, 0 to 100.
    pub fn percent(self) -> f64 {
        f64::from(self.0) / 100.0
    }

    /// Whether it is nothing.
    pub fn is_zero(self) -> bool {
        self.0 == 0
    }
}

/// The sum of some weights, in hundredths of a percent.
pub fn sum(weights: impl IntoIterator<Item = Weight>) -> u32 {
    weights.into_iter().map(|weight| u32::from(weight.0)).sum()
}

/// Splits `total` in proportion to `parts` by largest remainder: the shares add up to `total`, a part of 0 gets
/// 0. If all parts are 0, all shares are 0. Equal remainders go to the part that comes first.
pub fn split(total: u64, parts: &[u64]) -> Vec<u64> {
    let sum: u128 = parts.iter().map(|part| u128::from(*part)).sum();
    if sum == 0 {
        return vec![0; parts.len()];
    }
    let exact = |part: u64| u128::from(part) * u128::from(total);
    let mut shares: Vec<u64> = parts.iter().map(|part| (exact(*part) / sum) as u64).collect();
    let missing = total - shares.iter().sum::<u64>();
    if missing > 0 {
        let mut order: Vec<usize> = (0..parts.len()).filter(|index| parts[*index] > 0).collect();
        order.sort_by_key(|index| std::cmp::Reverse(exact(parts[*index]) % sum));
        for index in order.into_iter().take(missing as usize) {
            shares[index] += 1;
        }
    }
    shares
}

/// [`split`] for weights.
pub fn apportion(total: Weight, parts: &[u64]) -> Vec<Weight> {
    // A share is at most the total, which is at most 10,000.
    split(u64::from(total.0), parts).into_iter().map(|share| Weight(share as u16)).collect()
}

/// Scales weights in proportion, so that they add up to `total`; zeros stay zeros, and all zeros stay so.
pub fn scale(total: Weight, weights: &[Weight]) -> Vec<Weight> {
    let parts: Vec<u64> = weights.iter().map(|weight| u64::from(weight.0)).collect();
    apportion(total, &parts)
}

/// Lends the weights of routes that cannot serve to those that can, in proportion to the weights of those.
/// `weights` and `serves` are parallel. A route of 0 % never gets more; if no route with a weight can serve, all
/// shares are 0.
pub fn lend(weights: &[Weight], serves: &[bool]) -> Vec<Weight> {
    let own: Vec<Weight> = weights
        .iter()
        .zip(serves)
        .map(|(weight, serves)| if *serves { *weight } else { Weight::ZERO })
        .collect();
    if sum(weights.iter().copied()) == 0 { own } else { scale(Weight::FULL, &own) }
}

/// Why weights do not add up. Sums are in hundredths of a percent.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ShareError {
    /// The given weights are more than everything.
    #[error("weights add up to {}, which is more than 100%", Hundredths(*.0))]
    Over(u32),
    /// Every route has a weight, and they add up to something between 0 and 100 %.
    #[error("every route has a weight, and they add up to {} instead of 100% (or 0%)", Hundredths(*.0))]
    Short(u32),
}

/// Gives every route a weight: `None`s share in equal parts what the given ones leave.
pub fn fill(given: &[Option<Weight>]) -> Result<Vec<Weight>, ShareError> {
    let sum = sum(given.iter().flatten().copied());
    let rest = match u16::try_from(sum) {
        Ok(sum) if sum <= Weight::FULL.0 => Weight(Weight::FULL.0 - sum),
        _ => return Err(ShareError::Over(sum)),
    };
    let takers: Vec<u64> = given.iter().map(|weight| u64::from(weight.is_none())).collect();
    if takers.iter().all(|taker| *taker == 0) && sum != 0 && !rest.is_zero() {
        return Err(ShareError::Short(sum));
    }
    let rests = apportion(rest, &takers);
    Ok(given.iter().zip(rests).map(|(weight, rest)| weight.unwrap_or(rest)).collect())
}

/// Sets the weights of some routes. `changes` is parallel to `current`; without `rebalance` the others keep
/// theirs and the sum must come out at 100 % or 0; with it the others make room in proportion to theirs.
pub fn set(
    current: &[Weight],
    changes: &[Option<Weight>],
    rebalance: bool,
) -> Result<Vec<Weight>, ShareError> {
    let fixed = sum(changes.iter().flatten().copied());
    if fixed > u32::from(Weight::FULL.0) {
        return Err(ShareError::Over(fixed));
    }
    let others: Vec<Weight> = current
        .iter()
        .zip(changes)
        .map(|(weight, change)| if change.is_some() { Weight::ZERO } else { *weight })
        .collect();
    let others = if rebalance { scale(Weight(Weight::FULL.0 - fixed as u16), &others) } else { others };
    let new: Vec<Weight> =
        changes.iter().zip(others).map(|(change, other)| change.unwrap_or(other)).collect();
    match sum(new.iter().copied()) {
        0 | 10_000 => Ok(new),
        sum if sum > 10_000 => Err(ShareError::Over(sum)),
        sum => Err(ShareError::Short(sum)),
    }
}

/// Displays hundredths of a percent of any size.
struct Hundredths(u32);

impl fmt::Display for Hundredths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 100, self.0 % 100);
        match rest {
            0 => write!(f, "{whole}%"),
            rest if rest % 10 == 0 => write!(f, "{whole}.{}%", rest / 10),
            rest => write!(f, "{whole}.{rest:02}%"),
        }
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Hundredths(u32::from(self.0)).fmt(f)
    }
}

impl FromStr for Weight {
    type Err = WeightError;

    /// `NN%` with up to two decimals.
    fn from_str(text: &str) -> Result<Self, WeightError> {
        let wrong = || WeightError::NotAPercentage(text.to_owned());
        let number = text.trim().strip_suffix('%').ok_or_else(wrong)?.trim_end();
        let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(decimals) {
            return Err(wrong());
        }
        let significant = decimals.trim_end_matches('0');
        if significant.len() > 2 {
            return Err(WeightError::TooFine(text.to_owned()));
        }
        let too_much = || WeightError::TooMuch(text.to_owned());
        let whole: u16 = if whole.trim_start_matches('0').len() > 3 {
            Err(too_much())
        } else {
            whole.parse().map_err(|_| too_much())
        }?;
        let hundredths: u16 = format!("{significant:0<2}").parse().map_err(|_| wrong())?;
        whole
            .checked_mul(100)
            .and_then(|all| all.checked_add(hundredths))
            .and_then(Self::from_hundredths)
            .ok_or_else(too_much)
    }
}

impl From<Weight> for String {
    fn from(weight: Weight) -> Self {
        weight.to_string()
    }
}

impl TryFrom<String> for Weight {
    type Error = WeightError;

    fn try_from(text: String) -> Result<Self, WeightError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests;
