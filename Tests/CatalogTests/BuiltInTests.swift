import Testing

@testable import Catalog

@Suite("Built-in catalogue")
struct BuiltInTests {
    @Test("the built-in files are read")
    func reads() throws {
        let catalog = try Catalog(files: Catalog.embeddedFiles)
        #expect(catalog.accelerators.count > 10)
    }
}
