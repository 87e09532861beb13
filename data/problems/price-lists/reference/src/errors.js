/** An error that the user can correct. The command line prints its message without a stack trace. */
export class UserError extends Error {
  exitCode = 1;
}

/** A price list with invalid rows. */
export class InvalidList extends UserError {
  exitCode = 2;

  /**
   * @param {string} file
   * @param {{line: number, message: string}[]} errors
   */
  constructor(file, errors) {
    super(errors.map(({ line, message }) => `${file}:${line}: ${message}`).join("\n"));
  }
}

/** Prices that change so much that a person must check them. */
export class LargeChanges extends UserError {
  exitCode = 3;
}
