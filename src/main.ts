// Placeholder entry until the command line is wired: says so and fails.
console.error("weft: no command line yet");
process.exitCode = 2;
