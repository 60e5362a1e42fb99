//===----------------------------------------------------------------------===//
// Which release this is.
//===----------------------------------------------------------------------===//

/// The version that both programs, metrics and the package show.
public enum ProductVersion {
    public static let number = "0.1.0"
}
