//! Every target over its seeds, and over mutations of them: a fixed number, the same each time. A promise that
//! breaks shows here without the fuzzer.

mod failure;
mod mutation;
mod seeds;

use gateway_fuzz::TARGETS;

use failure::Failure;
use mutation::Mutator;

/// Mutations per target: a few seconds for all targets, unoptimised.
const MUTATIONS: usize = 2_000;

#[test]
fn every_target_has_seeds_and_a_dictionary() {
    let names: Vec<_> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    assert_eq!(seeds::folders(), names, "folders of tests/fuzz-seeds and targets");
    for target in TARGETS {
        assert!(!seeds::of(target.name).is_empty(), "{} has no seeds", target.name);
        assert!(!seeds::dictionary(target.name).is_empty(), "{} has no dictionary", target.name);
    }
}

#[test]
fn promises_hold_for_every_seed() {
    let inputs = TARGETS.iter().flat_map(|target| {
        seeds::of(target.name).into_iter().map(|(name, text)| (*target, format!("seed {name}"), text))
    });
    failure::report(inputs.filter_map(|(target, origin, text)| Failure::of(target, &origin, &text)));
}

#[test]
fn promises_hold_for_mutations_of_seeds() {
    let mutations = TARGETS.iter().filter_map(|target| {
        let texts = seeds::of(target.name).into_iter().map(|(_, text)| text).collect();
        let mut mutator = Mutator::new(texts, seeds::dictionary(target.name));
        (0..MUTATIONS).find_map(|index| {
            Failure::of(*target, &format!("mutation {index} of its seeds"), &mutator.mutate())
        })
    });
    failure::report(mutations);
}
