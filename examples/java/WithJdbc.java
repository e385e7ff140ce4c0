// Texts and pictures with JDBC. Its argument is a URL, such as jdbc:postgresql://HOST/DATABASE?user=NAME
import java.nio.file.*;
import java.sql.*;
import java.util.List;

class WithJdbc {
	public static void main(String[] arguments) throws Exception {
		try (var db = DriverManager.getConnection(arguments[0])) {
			db.createStatement().execute("SELECT clip_create_table('items')");
			var insert = db.prepareStatement("INSERT INTO items (modality, content_ref) VALUES ('text', ?)");
			for (var text : List.of("a cat asleep on a sofa", "a bowl of fruit", "the road to the sea")) {
				insert.setString(1, text);
				insert.executeUpdate();
			}
			insert = db.prepareStatement("INSERT INTO items (modality, content_ref, image) VALUES ('image', ?, ?)");
			for (var name : List.of("cat-face.png", "dog-face.png", "red-apple.png", "pear.png")) {
				insert.setString(1, name);
				insert.setBytes(2, picture(name));
				insert.executeUpdate();
			}

			// modality = ? refuses the varchar of setString; ?::clip_modality would take it.
			var words = db.prepareStatement("SELECT content_ref FROM items WHERE modality = ?"
				+ " ORDER BY embedding <=> clip_query('items', ?) LIMIT 2");
			words.setObject(1, "image", Types.OTHER);
			words.setString(2, "a kitten");
			print("words:", words);

			var like = db.prepareStatement("SELECT content_ref FROM items"
				+ " ORDER BY embedding <=> clip_query('items', ?) LIMIT 3");
			like.setBytes(1, picture("tangerine.png"));
			print("picture:", like);

			// k is an integer: no setLong.
			var search = db.prepareStatement("SELECT content_ref FROM clip_search('items', query => ?, k => ?)");
			search.setString(1, "a pet");
			search.setInt(2, 3);
			print("search:", search);
		}
	}

	static byte[] picture(String name) throws Exception {
		return Files.readAllBytes(Path.of("models/demo/pictures", name));
	}

	static void print(String title, PreparedStatement select) throws SQLException {
		System.out.println(title);
		for (var rows = select.executeQuery(); rows.next(); ) System.out.println("  " + rows.getString("content_ref"));
	}
}
