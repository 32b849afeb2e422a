//! What is learned of spawn sites, and forgotten.

use crate::budget::Length::{Computed, Long, Short};
use crate::scheduler::sites::Sites;
use std::panic::Location;

#[track_caller]
fn here() -> u16 {
    Sites::place_of(Location::caller())
}

#[test]
fn two_long_ends_make_a_site_heavy_and_short_ones_unmake_it() {
    let sites = Sites::new();
    let site = here();
    assert!(!sites.record(site, Computed));
    assert!(!sites.is_heavy(site), "once is no proof");
    assert!(sites.record(site, Long));
    assert!(sites.is_heavy(site));
    for _ in 0..100 {
        assert!(!sites.record(site, Computed), "told once");
    }
    // What is remembered has an end, so that a change of habit is seen soon.
    let forgiven = (0..).take_while(|_| {
        sites.record(site, Short);
        sites.is_heavy(site)
    });
    assert!(forgiven.count() < 6);
    assert!(sites.record(site, Long));
    sites.reset();
    assert!(!sites.is_heavy(site));
}

#[test]
fn most_sites_have_a_place_of_their_own() {
    let sites = Sites::new();
    let (a, b) = (here(), here());
    sites.record(a, Computed);
    sites.record(a, Long);
    assert!(sites.is_heavy(a) && !sites.is_heavy(b));
}
