//! What the verifier says about each program: how much it had to look at, and what came out.

use aya::{
    Ebpf, EbpfError,
    programs::{CgroupSkb, CgroupSockAddr, ProgramError, ProgramInfo, SchedClassifier, SkLookup, Xdp},
};

use super::object::OBJECT;

/// One program, as loaded on this kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramReport {
    /// The program's name in the object.
    pub name: String,
    /// Instructions that the verifier walked (its limit is a million); 0 where the kernel does not tell (< 5.16).
    pub verified_instructions: u32,
    /// Bytes of BPF after the verifier's rewriting.
    pub xlated_bytes: u32,
    /// Bytes of machine code.
    pub jited_bytes: u32,
}

/// Why the programs could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The maps cannot be created.
    #[error("loading the eBPF object: {0}")]
    Object(#[from] EbpfError),
    /// The verifier refuses a program, or the kernel does not know its kind.
    #[error("loading program {name}: {source}")]
    Program {
        /// The program's name in the object.
        name: String,
        /// What the kernel said, with the verifier's log.
        source: Box<ProgramError>,
    },
}

/// Loads every program of the object (without attaching any) and reports them in the order of their names.
/// Needs the right to load BPF programs.
pub fn program_report() -> Result<Vec<ProgramReport>, ReportError> {
    let mut object = Ebpf::load(OBJECT)?;
    let mut reports = Vec::new();
    for (name, program) in object.programs_mut() {
        let info = load(program)
            .map_err(|source| ReportError::Program { name: name.to_owned(), source: Box::new(source) })?;
        reports.push(ProgramReport {
            name: name.to_owned(),
            verified_instructions: info.verified_instruction_count().unwrap_or(0),
            xlated_bytes: info.size_translated().unwrap_or(0),
            jited_bytes: info.size_jitted(),
        });
    }
    reports.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(reports)
}

fn load(program: &mut aya::programs::Program) -> Result<ProgramInfo, ProgramError> {
    if let Ok(xdp) = <&mut Xdp>::try_from(&mut *program) {
        xdp.load()?;
    } else if let Ok(classifier) = <&mut SchedClassifier>::try_from(&mut *program) {
        classifier.load()?;
    } else if let Ok(lookup) = <&mut SkLookup>::try_from(&mut *program) {
        lookup.load()?;
    } else if let Ok(socket) = <&mut CgroupSockAddr>::try_from(&mut *program) {
        socket.load()?;
    } else {
        <&mut CgroupSkb>::try_from(&mut *program)?.load()?;
    }
    program.info()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_program_loads_far_below_the_verifiers_limit() {
        let reports = program_report().unwrap();
        let names: Vec<_> = reports.iter().map(|report| report.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "weir_cg_egress",
                "weir_cg_ingress",
                "weir_connect4",
                "weir_connect6",
                "weir_egress",
                "weir_getpeername4",
                "weir_getpeername6",
                "weir_ingress",
                "weir_pod_out",
                "weir_recvmsg4",
                "weir_recvmsg6",
                "weir_sendmsg4",
                "weir_sendmsg6",
                "weir_sk_lookup",
                "weir_xdp"
            ]
        );
        for report in reports {
            println!("{report:?}");
            assert!(report.verified_instructions < 250_000, "{report:?}");
            assert!(report.jited_bytes > 0, "{report:?}");
        }
    }
}
