//! The least that there can be: a blocking socket and the same bytes.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::measure::{COUNT, ECHO, Figures, Memory, RoundTrips, Stopwatch, Task, WINDOW};
use crate::server;

pub type Done = Result<Figures, Box<dyn std::error::Error>>;

fn connect(task: &Task) -> Result<TcpStream, std::io::Error> {
    let mut stream = TcpStream::connect(("127.0.0.1", task.port))?;
    stream.set_nodelay(true)?;
    let window = (WINDOW as u16).to_be_bytes();
    let head = [0x10, 16, 0, 4, b'M', b'Q', b'T', b'T', 5, 2, 0, 0, 3, 0x21, window[0], window[1], 0, 0];
    stream.write_all(&head)?;
    stream.read_exact(&mut [0; 8])?;
    Ok(stream)
}

pub fn publish(task: &Task) -> Done {
    let mut stream = connect(task)?;
    let (packet, identifier_at) = server::publish(COUNT, task.qos, 1, task.payload);
    let at_once = (64 * 1024 / packet.len()).max(1);
    if task.qos == 0 {
        let block = packet.repeat(at_once);
        let watch = Stopwatch::start();
        let mut left = task.count;
        while left > 0 {
            let count = left.min(at_once);
            stream.write_all(&block[..count * packet.len()])?;
            left -= count;
        }
        stream.write_all(&server::publish(COUNT, 1, 1, 0).0)?;
        stream.read_exact(&mut [0; 4])?;
        return Ok(watch.stop(task.count));
    }
    let mut block = packet.repeat(WINDOW);
    for (packet, id) in block.chunks_mut(packet.len()).zip(1_u16..) {
        packet[identifier_at..identifier_at + 2].copy_from_slice(&id.to_be_bytes());
    }
    let mut input = vec![0; 64 * 1024];
    let mut output = Vec::new();
    let watch = Stopwatch::start();
    let (mut sent, mut done, mut kept) = (0, 0, 0);
    while done < task.count {
        while sent < task.count && sent - done < WINDOW {
            let first = sent % WINDOW;
            let count = (task.count - sent).min(WINDOW - (sent - done)).min(WINDOW - first).min(at_once);
            stream.write_all(&block[first * packet.len()..(first + count) * packet.len()])?;
            sent += count;
        }
        kept += stream.read(&mut input[kept..])?;
        let whole = kept / 4 * 4;
        for packet in input[..whole].chunks(4) {
            if packet[0] >> 4 == 5 {
                output.extend([0x62, 2, packet[2], packet[3]]);
            } else {
                done += 1;
            }
        }
        input.copy_within(whole..kept, 0);
        kept -= whole;
        if !output.is_empty() {
            stream.write_all(&output)?;
            output.clear();
        }
    }
    Ok(watch.stop(task.count))
}

/// Subscribes and takes the answer.
fn subscribe(stream: &mut TcpStream, filter: &str, qos: u8) -> Result<(), std::io::Error> {
    let mut packet = vec![0x82, (6 + filter.len()) as u8, 0, 1, 0];
    packet.extend((filter.len() as u16).to_be_bytes());
    packet.extend(filter.as_bytes());
    packet.push(qos);
    stream.write_all(&packet)?;
    stream.read_exact(&mut [0; 6])
}

pub fn receive(task: &Task) -> Done {
    let mut stream = connect(task)?;
    let filter = task.flood();
    let (packet, identifier_at) = server::publish(&filter, task.qos, 1, task.payload);
    let mut input = vec![0; (64 * 1024).max(2 * packet.len())];
    let watch = Stopwatch::start();
    subscribe(&mut stream, &filter, task.qos)?;
    if task.qos == 0 {
        let mut left = task.count * packet.len();
        while left > 0 {
            left -= stream.read(&mut input)?.min(left);
        }
        return Ok(watch.stop(task.count));
    }
    let mut output = Vec::new();
    let (mut done, mut kept) = (0, 0);
    while done < task.count {
        kept += stream.read(&mut input[kept..])?;
        let mut at = 0;
        while at < kept {
            if input[at] >> 4 == 6 {
                let Some(pubrel) = input[..kept].get(at..at + 4) else { break };
                output.extend([0x70, 2, pubrel[2], pubrel[3]]);
                at += 4;
                continue;
            }
            let Some(publish) = input[..kept].get(at..at + packet.len()) else { break };
            let first = if task.qos == 1 { 0x40 } else { 0x50 };
            output.extend([first, 2, publish[identifier_at], publish[identifier_at + 1]]);
            done += 1;
            at += packet.len();
        }
        input.copy_within(at..kept, 0);
        kept -= at;
        stream.write_all(&output)?;
        output.clear();
    }
    Ok(watch.stop(task.count))
}

pub fn round_trip(task: &Task) -> Done {
    let mut stream = connect(task)?;
    subscribe(&mut stream, ECHO, 0)?;
    let (packet, _) = server::publish(ECHO, 0, 0, task.payload);
    let mut input = vec![0; packet.len()];
    let mut trips = RoundTrips::start(task.count);
    for _ in 0..task.count {
        stream.write_all(&packet)?;
        stream.read_exact(&mut input)?;
        trips.lap();
    }
    Ok(trips.stop())
}

pub fn idle(task: &Task, _used: bool) -> Done {
    let memory = Memory::before();
    let streams: Result<Vec<_>, _> = (0..task.count).map(|_| connect(task)).collect();
    let streams = streams?;
    let figures = memory.after(task.count);
    drop(streams);
    Ok(figures)
}
