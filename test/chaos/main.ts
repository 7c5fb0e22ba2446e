console.error("The chaos run is not there yet.");
process.exitCode = 1;
