//! The program: parse, run, exit code; nothing else.

fn main() -> std::process::ExitCode {
    childminder::cli::main()
}
