"""facts → findings: each check is a function from what is known to verdicts; what fails is decided in one place."""
