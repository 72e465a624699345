//! MQTT client for microcontrollers.
#![no_std]
