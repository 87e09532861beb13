/** An error that the user can correct. The command line prints its message without a stack trace. */
export class UserError extends Error {
  exitCode = 1;
}
