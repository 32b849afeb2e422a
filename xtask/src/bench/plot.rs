//! The plots: one a case that kept curves, latency over the share of messages.

use super::{Curve, Kept, in_order};
use anyhow::{Context, Result, anyhow};
use plotters::prelude::*;
use std::path::Path;

/// The shares at which the benches keep latencies, as in their runner.
const SHARES: [f64; 12] = [
    0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 1.0,
];

const SIZE: (u32, u32) = (900, 520);

/// Draws what there is to draw, and answers the cases.
pub(super) fn draw(folder: &Path, kept: &Kept) -> Result<Vec<String>> {
    let mut drawn = Vec::new();
    for case in in_order(kept.curves.iter().map(|curve| curve.case.as_str())) {
        let curves: Vec<&Curve> = kept
            .curves
            .iter()
            .filter(|curve| curve.case == case)
            .collect();
        let file = folder.join(file_name(case));
        one(&file, case, &curves)
            .map_err(|error| anyhow!("{error}"))
            .with_context(|| file.display().to_string())?;
        drawn.push(case.to_owned());
    }
    Ok(drawn)
}

pub(super) fn file_name(case: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    format!("{}.svg", case.chars().map(plain).collect::<String>())
}

/// Each further point halves, about, the share that is later: the axis is even in their number.
fn one(file: &Path, case: &str, curves: &[&Curve]) -> Result<(), Box<dyn std::error::Error>> {
    let values = || curves.iter().flat_map(|curve| curve.points.iter().copied());
    let low = values().fold(f64::INFINITY, f64::min).max(1.0);
    let high = values().fold(low * 10.0, f64::max);
    let area = SVGBackend::new(file, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(format!("{case}: latency, µs"), ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(70)
        .build_cartesian_2d(0..SHARES.len() - 1, (low..high * 1.2).log_scale())?;
    chart
        .configure_mesh()
        .x_labels(SHARES.len())
        .x_label_formatter(&|&at| {
            SHARES
                .get(at)
                .map_or_else(String::new, |share| format!("{}", share * 100.0))
        })
        .x_desc("percent of messages that came within")
        .draw()?;
    for (index, curve) in curves.iter().enumerate() {
        let color = Palette99::pick(index).to_rgba();
        let width = if curve.contender.starts_with("heist") {
            3
        } else {
            1
        };
        let points = curve
            .points
            .iter()
            .enumerate()
            .map(|(at, &value)| (at, value.max(low)));
        chart
            .draw_series(LineSeries::new(points, color.stroke_width(width)))?
            .label(curve.contender.as_str())
            .legend(move |(x, y)| {
                PathElement::new([(x, y), (x + 18, y)], color.stroke_width(width))
            });
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK)
        .draw()?;
    area.present()?;
    Ok(())
}
