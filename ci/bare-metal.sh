# Sourced by what builds for bare metal. Afterwards `bare_metal_cargo` is cargo for these targets: plain where they are
# installed, else with `core` built from its source. `targets` and `crates` (of the standard library) may be set before.

targets=${targets:-thumbv6m-none-eabi thumbv7em-none-eabihf riscv32imac-unknown-none-elf}
crates=${crates:-core}

bare_metal_kind() {
  local helper
  helper=$(dirname "${BASH_SOURCE[0]}")/../../shared/tools/embedded-targets
  if [[ -x $helper ]]; then
    "$helper" $targets
  elif command -v rustup >/dev/null && rustup target add $targets >/dev/null 2>&1; then
    echo installed
  else
    local target
    for target in $targets; do
      [[ -d $(rustc --print sysroot)/lib/rustlib/$target ]] || { echo "$target is not installed" >&2; return 1; }
    done
    echo installed
  fi
}

bare_metal=$(bare_metal_kind)
unset RUSTFLAGS # they would take the place of those in .cargo/config.toml

# From here on `core` is built from its source where that is there, also where the targets are installed: with the options of the
# image, for one that is measured. What comes compiled is compiled for speed: `memcpy`, 64-bit division.
bare_metal_from_source() {
  if [[ -d $(rustc --print sysroot)/lib/rustlib/src/rust/library/core ]]; then
    bare_metal=build-std
  fi
}

# The first argument is cargo's command.
bare_metal_cargo() {
  local command=$1
  shift
  if [[ $bare_metal == build-std ]]; then
    RUSTC_BOOTSTRAP=1 cargo "$command" -Z build-std="$crates" "$@"
  else
    cargo "$command" "$@"
  fi
}
