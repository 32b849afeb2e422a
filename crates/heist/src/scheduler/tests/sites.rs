//! What is learned of spawn sites, and forgotten.

use crate::budget::Length::{Computed, Long, Short};
use crate::scheduler::sites::Sites;
use std::panic::Location;

#[track_caller]
fn here() -> u16 {
    Sites::place_of(Location::caller(), 0x1000)
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

/// As behind a framework's one call of `spawn`.
#[test]
fn futures_of_two_types_from_one_place_are_two_sites() {
    let place = Location::caller();
    let types: Vec<u16> = (0..16)
        .map(|idx| Sites::place_of(place, 0x55_5555_0000 + idx * 0x30))
        .collect();
    let sites = Sites::new();
    sites.record(types[0], Long);
    sites.record(types[0], Long);
    assert!(sites.is_heavy(types[0]));
    let light = types.iter().filter(|&&other| !sites.is_heavy(other));
    assert!(light.count() >= 14);
}

#[test]
fn a_site_is_suspect_until_a_short_poll() {
    let sites = Sites::new();
    let site = here();
    let suspect_twice = || {
        sites.suspect(site);
        assert!(!sites.is_suspect(site));
        sites.suspect(site);
        sites.suspect(site);
        assert!(sites.is_suspect(site) && !sites.is_heavy(site));
    };
    suspect_twice();
    assert!(!sites.record(site, Short));
    assert!(!sites.is_suspect(site));
    suspect_twice();
    sites.trust(site);
    assert!(!sites.is_suspect(site));
    // It stays so while ends are long, and is then what those say.
    suspect_twice();
    assert!(!sites.record(site, Computed));
    assert!(sites.is_suspect(site) && !sites.is_heavy(site));
    assert!(sites.record(site, Computed), "told when it is proved");
    assert!(sites.is_heavy(site));
    sites.record(site, Short);
    assert!(!sites.is_heavy(site) && !sites.is_suspect(site));
    sites.record(site, Long);
    sites.trust(site);
    assert!(sites.is_heavy(site), "says nothing of ends");
}

#[test]
fn a_short_first_poll_is_remembered_and_nothing_to_look_at_again() {
    let sites = Sites::new();
    let site = here();
    assert!(!sites.has_light(site));
    sites.trust(site);
    assert!(sites.has_light(site) && !sites.remembers(site));
    assert!(!sites.record(site, Short) && !sites.remembers(site));
    sites.suspect(site);
    assert!(sites.remembers(site) && !sites.is_suspect(site));
    sites.record(site, Long);
    assert!(sites.record(site, Long));
    assert!(sites.has_light(site) && sites.is_heavy(site));
    // One that is done in a short poll was light, too.
    sites.reset();
    sites.record(site, Long);
    sites.record(site, Short);
    assert!(sites.has_light(site) && !sites.remembers(site));
}
