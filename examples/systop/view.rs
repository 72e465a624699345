//! The dashboard.

use std::collections::VecDeque;
use std::time::Instant;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize as _};
use ratatui::text::Line;
use ratatui::widgets::{Block, Paragraph, Row, Sparkline, Table};

use super::figures::Figures;

/// Draws all of it.
pub fn draw(frame: &mut Frame, figures: &Figures, title: &str, now: Instant) {
    let [head, clients, messages, bytes, rest] = Layout::vertical([
        Constraint::Length(4),
        Constraint::Length(5),
        Constraint::Length(5),
        Constraint::Length(5),
        Constraint::Min(0),
    ])
    .areas(frame.area());
    let value = |name| figures.value(name).unwrap_or("?");
    let lines = vec![
        Line::from(format!("{}, up {}", value("version"), value("uptime"))),
        Line::from(format!(
            "{} subscriptions, {} retained, {} stored, {} dropped",
            value("subscriptions/count"),
            value("retained messages/count"),
            value("store/messages/count"),
            value("publish/messages/dropped"),
        )),
    ];
    frame.render_widget(Paragraph::new(lines).block(Block::bordered().title(title).bold()), head);
    spark(frame, clients, &format!("clients: {}", value("clients/connected")), &figures.clients, Color::Green);
    for (row, name, incoming, outgoing) in [
        (messages, "messages", &figures.messages_in, &figures.messages_out),
        (bytes, "bytes", &figures.bytes_in, &figures.bytes_out),
    ] {
        let halves: [Rect; 2] = Layout::horizontal([Constraint::Fill(1); 2]).areas(row);
        for (area, direction, rate, color) in
            [(halves[0], "in", incoming, Color::Cyan), (halves[1], "out", outgoing, Color::Yellow)]
        {
            let title =
                format!("{name} {direction}: {:.1}/s, {}", rate.per_second(now), total(figures, name, direction));
            spark(frame, area, &title, &rate.history, color);
        }
    }
    let rows = figures.values().map(|(name, value)| Row::new([name.to_owned(), value.to_owned()]));
    let table = Table::new(rows, [Constraint::Percentage(60), Constraint::Percentage(40)]);
    frame.render_widget(table.block(Block::bordered().title("$SYS, as it is; q ends")), rest);
}

fn total<'a>(figures: &'a Figures, name: &str, direction: &str) -> &'a str {
    let topic = match (name, direction) {
        ("messages", "in") => "publish/messages/received",
        ("messages", _) => "publish/messages/sent",
        (_, "in") => "bytes/received",
        _ => "bytes/sent",
    };
    figures.value(topic).unwrap_or("?")
}

/// The latest seconds are on the right.
fn spark(frame: &mut Frame, area: Rect, title: &str, history: &VecDeque<u64>, color: Color) {
    let width = usize::from(area.width.saturating_sub(2));
    let mut data = vec![0; width.saturating_sub(history.len())];
    data.extend(history.iter().skip(history.len().saturating_sub(width)));
    let sparkline = Sparkline::default().data(&data).style(Style::new().fg(color));
    frame.render_widget(sparkline.block(Block::bordered().title(title.to_owned())), area);
}
