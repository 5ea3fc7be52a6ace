#![expect(clippy::cast_precision_loss, reason = "counts of a test are small")]

use proptest::prelude::*;

use super::*;

fn weight(hundredths: u16) -> Weight {
    Weight::from_hundredths(hundredths).unwrap()
}

#[test]
fn texts_are_read_to_the_hundredth() {
    for (text, hundredths) in [
        ("5%", 500),
        ("0.05%", 5),
        ("100%", 10_000),
        ("100.00%", 10_000),
        ("0%", 0),
        ("12.5%", 1_250),
        (" 7 %", 700),
        ("007%", 700),
    ] {
        assert_eq!(text.parse::<Weight>().map(Weight::hundredths), Ok(hundredths), "{text}");
    }
}

#[test]
fn what_is_no_weight_is_refused_with_the_reason() {
    for text in ["", "5", "%", "-5%", "5.%", ".5%", "5,5%", "five%", "5%%", "1e1%", "+5%", "٥%"] {
        assert_eq!(text.parse::<Weight>(), Err(WeightError::NotAPercentage(text.to_owned())), "{text}");
    }
    assert!(matches!("0.005%".parse::<Weight>(), Err(WeightError::TooFine(_))));
    for text in ["100.01%", "101%", "65536%", "99999999999%"] {
        assert!(matches!(text.parse::<Weight>(), Err(WeightError::TooMuch(_))), "{text}");
    }
}

#[test]
fn routes_without_a_weight_share_the_rest() {
    let filled = |given: &[Option<u16>]| {
        let given: Vec<_> = given.iter().map(|one| one.map(weight)).collect();
        fill(&given).map(|all| all.into_iter().map(Weight::hundredths).collect::<Vec<_>>())
    };
    assert_eq!(filled(&[None]), Ok(vec![10_000]));
    assert_eq!(filled(&[None, None, None]), Ok(vec![3_334, 3_333, 3_333]));
    assert_eq!(filled(&[Some(6_000), None]), Ok(vec![6_000, 4_000]));
    assert_eq!(filled(&[Some(10_000), None]), Ok(vec![10_000, 0]));
    assert_eq!(filled(&[Some(0), Some(0)]), Ok(vec![0, 0]));
    assert_eq!(filled(&[Some(6_000), Some(5_000)]), Err(ShareError::Over(11_000)));
    assert_eq!(filled(&[Some(6_000), Some(3_000)]), Err(ShareError::Short(9_000)));
    assert_eq!(filled(&[]), Ok(vec![]));
}

#[test]
fn setting_weights_wants_a_whole_sum_unless_the_others_make_room() {
    let current = [weight(10_000), weight(0), weight(0)];
    let set_to = |changes: [Option<u16>; 3], rebalance| {
        set(&current, &changes.map(|one| one.map(weight)), rebalance)
            .map(|all| all.into_iter().map(Weight::hundredths).collect::<Vec<_>>())
    };
    assert_eq!(set_to([Some(9_500), Some(500), None], false), Ok(vec![9_500, 500, 0]));
    assert_eq!(set_to([None, Some(500), None], false), Err(ShareError::Over(10_500)));
    assert_eq!(set_to([None, Some(500), None], true), Ok(vec![9_500, 500, 0]));
    assert_eq!(set_to([Some(9_000), None, None], false), Err(ShareError::Short(9_000)));
    assert_eq!(set_to([Some(9_000), None, None], true), Err(ShareError::Short(9_000)), "0 stays 0");
    assert_eq!(set_to([Some(0), None, None], false), Ok(vec![0, 0, 0]));
    assert_eq!(set_to([Some(6_000), Some(5_000), None], true), Err(ShareError::Over(11_000)));
}

#[test]
fn lending_goes_by_own_weight_and_never_to_a_route_of_nothing() {
    let lent = |weights: &[u16], serves: &[bool]| {
        let weights: Vec<_> = weights.iter().copied().map(weight).collect();
        lend(&weights, serves).into_iter().map(Weight::hundredths).collect::<Vec<_>>()
    };
    assert_eq!(lent(&[5_000, 3_000, 2_000], &[false, true, true]), [0, 6_000, 4_000]);
    assert_eq!(lent(&[10_000, 0], &[false, true]), [0, 0]);
    assert_eq!(lent(&[9_500, 500], &[true, true]), [9_500, 500]);
    assert_eq!(lent(&[0, 0], &[true, true]), [0, 0]);
}

proptest! {
    #[test]
    fn printing_and_reading_a_weight_is_the_identity(hundredths in 0_u16..=10_000) {
        let text = weight(hundredths).to_string();
        prop_assert_eq!(text.parse::<Weight>().unwrap().hundredths(), hundredths);
        prop_assert_eq!(serde_json::from_str::<Weight>(&serde_json::to_string(&weight(hundredths)).unwrap()).unwrap(), weight(hundredths));
    }

    #[test]
    fn reading_a_weight_never_panics(text in ".{0,12}|[0-9.%]{0,12}") {
        let _ = text.parse::<Weight>();
    }

    #[test]
    fn shares_add_up_and_are_within_a_hundredth_of_exact(
        total in 0_u16..=10_000, parts in prop::collection::vec(0_u64..1_000_000, 1..20),
    ) {
        let shares = apportion(weight(total), &parts);
        let all: u64 = parts.iter().sum();
        let expected = if all == 0 { 0 } else { u32::from(total) };
        prop_assert_eq!(sum(shares.iter().copied()), expected);
        for (part, share) in parts.iter().zip(shares) {
            let exact = if all == 0 { 0.0 } else { *part as f64 * f64::from(total) / all as f64 };
            prop_assert!((f64::from(share.hundredths()) - exact).abs() < 1.0);
            prop_assert!(*part > 0 || share.is_zero());
        }
    }

    #[test]
    fn weights_add_up_to_everything_or_nothing_after_any_changes(
        routes in 1_usize..8,
        changes in prop::collection::vec((prop::collection::vec(prop::option::of(0_u16..=10_000), 8), any::<bool>()), 0..12),
    ) {
        let mut weights = fill(&vec![None; routes]).unwrap();
        for (given, rebalance) in changes {
            let given: Vec<_> = given.into_iter().take(routes).map(|one| one.map(weight)).collect();
            if let Ok(new) = set(&weights, &given, rebalance) {
                for (index, given) in given.iter().enumerate() {
                    let expected = given.unwrap_or(if rebalance { new[index] } else { weights[index] });
                    prop_assert_eq!(new[index], expected);
                    prop_assert!(given.is_some() || !weights[index].is_zero() || new[index].is_zero(), "0 stays 0");
                }
                weights = new;
            }
            prop_assert!(matches!(sum(weights.iter().copied()), 0 | 10_000));
        }
    }
}
