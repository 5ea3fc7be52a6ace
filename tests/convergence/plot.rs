//! Shares of changes that are followed within a time.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::prelude::*;

use crate::measure::Times;

/// Draws both kinds of changes of both.
pub fn draw(path: &Path, singles: &Times, many: &Times) -> Result<()> {
    let root = SVGBackend::new(path, (900, 420)).into_drawing_area();
    let failed = |error: &dyn std::fmt::Display| anyhow!("{}: {error}", path.display());
    root.fill(&WHITE).map_err(|error| failed(&error))?;
    let mut chart = ChartBuilder::on(&root)
        .margin(12)
        .caption("Share of changes that are followed within a time", ("sans-serif", 18))
        .x_label_area_size(42)
        .y_label_area_size(56)
        .build_cartesian_2d((0.1_f64..10_000.0).log_scale(), 0.0_f64..100.0)
        .map_err(|error| failed(&error))?;
    chart
        .configure_mesh()
        .x_desc("milliseconds after the event arrived")
        .y_desc("per cent")
        .draw()
        .map_err(|error| failed(&error))?;
    let lines = [
        ("weir, one endpoint", &singles.weir, RGBColor(0, 110, 80), 2),
        ("weir, one of each service at once", &many.weir, RGBColor(120, 190, 160), 2),
        ("kube-proxy, one endpoint", &singles.kube_proxy, RGBColor(190, 60, 30), 2),
        ("kube-proxy, one of each service at once", &many.kube_proxy, RGBColor(235, 160, 130), 2),
    ];
    for (name, times, color, width) in lines.into_iter().filter(|(_, times, ..)| !times.is_empty()) {
        let mut sorted = times.clone();
        sorted.sort_by(f64::total_cmp);
        let total = f64::from(u32::try_from(sorted.len()).unwrap_or(u32::MAX));
        let points = (1_u32..).zip(&sorted).map(|(at, time)| (time.max(0.1), f64::from(at) / total * 100.0));
        chart
            .draw_series(LineSeries::new(points, color.stroke_width(width)))
            .map_err(|error| failed(&error))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(width)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .border_style(BLACK.mix(0.3))
        .background_style(WHITE.mix(0.8))
        .draw()
        .map_err(|error| failed(&error))?;
    root.present().map_err(|error| failed(&error))
}
