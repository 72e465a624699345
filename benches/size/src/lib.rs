//! What the images have in common.

#![no_std]

pub use world::*;
