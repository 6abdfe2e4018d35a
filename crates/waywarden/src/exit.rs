//! Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 something missing on the machine.

use std::process::ExitCode;

/// Why a command ends, where that is not plain failure. Put into an `anyhow` chain, it decides the
/// exit code; anything else is 1.
#[derive(Debug, thiserror::Error)]
pub enum Ending {
    /// What was asked or configured makes no sense (2).
    #[error("{0}")]
    Usage(String),
    /// The machine lacks what the command works on (3).
    #[error("{0}")]
    Missing(String),
}

/// The code for an error.
pub fn code(error: &anyhow::Error) -> ExitCode {
    let found = error.chain().find_map(|e| e.downcast_ref::<Ending>());
    ExitCode::from(match found {
        None => 1,
        Some(Ending::Usage(_)) => 2,
        Some(Ending::Missing(_)) => 3,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn the_reason_decides_the_code_also_below_context() {
        let usage: anyhow::Result<()> = Err(Ending::Usage("no".into()).into());
        let wrapped = usage.context("while reading").unwrap_err();
        assert_eq!(code(&wrapped), ExitCode::from(2));
        assert_eq!(
            code(&Ending::Missing("no".into()).into()),
            ExitCode::from(3)
        );
        assert_eq!(code(&anyhow::anyhow!("no")), ExitCode::from(1));
    }
}
